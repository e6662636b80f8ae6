"""Updates with a known spectrum, and what float64 NumPy says of them."""

import numpy as np

from jaxtrunc.spectral import Decomposition, Level, Reconstructor, decompose, references

NAME = "mlp/kernel"


def orthonormal(rows: int, columns: int, seed: int) -> np.ndarray:
    """Columns of a uniformly drawn rotation."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((rows, columns)))[0]


def with_spectrum(s: np.ndarray, m: int, n: int, seed: int = 0) -> np.ndarray:
    """A float32 `(m, n)` matrix with singular values `s`, to float32 rounding."""
    return ((orthonormal(m, len(s), seed) * s) @ orthonormal(n, len(s), seed + 1).T).astype(np.float32)


def gaussian(m: int, n: int, seed: int = 0, std: float = 1e-3) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((m, n)) * std).astype(np.float32)


def decomposed(base: dict, ft: dict, **options) -> Decomposition:
    """Every matrix of the tree, small ones included."""
    return decompose(base, ft, references({path: leaf.shape for path, leaf in base.items()}), **options)


class OnZero:
    """An update on a base of zeros: there W(k) is ΔW(g) itself, bit for bit."""

    def __init__(self, update: np.ndarray, name: str = NAME, **options):
        self.name, self.update = name, update
        self.base, self.ft = {name: np.zeros_like(update)}, {name: update}
        self.decomposition = decomposed(self.base, self.ft, **options)
        self.svd = self.decomposition.matrices[name]
        self.rebuild = Reconstructor(self.decomposition, self.base, self.ft)

    def cut(self, operator: str, k: int | None = None, **more) -> np.ndarray:
        """ΔW(g) at a level, as a copy."""
        return self.rebuild.weights(Level(operator, k=k, **more)).leaves[self.name].copy()


def truth(update: np.ndarray, kept) -> np.ndarray:
    """The components `kept` of an update, from LAPACK in float64."""
    u, s, vt = np.linalg.svd(update.astype(np.float64), full_matrices=False)
    return (u[:, kept] * s[kept]) @ vt[kept]


def distance(found: np.ndarray, wanted: np.ndarray) -> float:
    """Relative Frobenius distance."""
    return float(np.linalg.norm(found.astype(np.float64) - wanted) / np.linalg.norm(wanted))


def assert_same(one: Decomposition, other: Decomposition) -> None:
    """Two decompositions, bit for bit, with everything that is recorded of their inputs."""
    assert list(one.matrices) == list(other.matrices) and one.skipped == other.skipped and one.backend == other.backend
    for name, svd in one.matrices.items():
        theirs = other.matrices[name]
        np.testing.assert_array_equal(svd.s, theirs.s)
        np.testing.assert_array_equal(svd.basis, theirs.basis)
        assert svd.basis.dtype == theirs.basis.dtype
        for fact in ("ref", "shape", "rank", "frobenius", "side", "base_hash", "ft_hash", "zero_share", "max_abs", "rms_w",
                     "leading"):
            assert getattr(svd, fact) == getattr(theirs, fact), fact
