"""What `gram32` is said to cost, against LAPACK in float64."""

import numpy as np
import pytest
from matrices import decomposed, with_spectrum

from jaxtrunc.spectral import float32_cost, load, save, write_head

R = 128
TALL, SQUARE, SMALL = (with_spectrum(np.arange(1, n + 1.0) ** -1.2, m, n, m) for m, n in ((400, R), (R, R), (64, 40)))
FT = {"a/kernel": np.stack([TALL, 2 * TALL]), "b/kernel": SQUARE, "c/kernel": SMALL.T.copy()}
BASE = {path: np.zeros_like(leaf) for path, leaf in FT.items()}


def test_it_is_the_error_against_lapack():
    made = decomposed(BASE, FT, backend="gram32")
    found = float32_cost(made, BASE, FT)
    assert found["matrices"] == 3  # one of each shape
    errors, excess = [], []
    for name, update in (("a/kernel.0", TALL), ("b/kernel", SQUARE), ("c/kernel", SMALL.T)):
        svd, wide = made.matrices[name], update.astype(np.float64)
        exact, k = np.linalg.svd(wide, compute_uv=False), len(svd.s)
        errors.append(np.max(np.abs(svd.s / exact[:k] - 1)))
        q = svd.basis.astype(np.float64)
        left = wide - (wide @ q @ q.T if svd.side == "out" else q @ q.T @ wide)
        excess += [np.linalg.norm(left) / np.linalg.norm(exact[k:]) - 1] if k < svd.r else []
    assert found["singular_values"] == pytest.approx(max(errors), rel=1e-3)
    assert 0 < found["singular_values"] < 5e-3
    assert found["residual"] == pytest.approx(max(excess), rel=1e-3, abs=1e-9)


def test_a_spoiled_basis_shows_in_the_residual(monkeypatch):
    from jaxtrunc.spectral.backends import gram32

    real = gram32.roots_and_vectors

    def turned(*given):
        s, vectors = real(*given)
        vectors = vectors.copy()
        vectors[:, 0], last = (vectors[:, 0] + vectors[:, -1]) / 2**0.5, vectors[:, 0]
        vectors[:, -1] = (last - vectors[:, -1]) / 2**0.5
        return s, vectors

    clean = float32_cost(decomposed(BASE, FT, backend="gram32"), BASE, FT)
    monkeypatch.setattr(gram32, "roots_and_vectors", turned)
    assert float32_cost(decomposed(BASE, FT, backend="gram32"), BASE, FT)["residual"] > 1 > clean["residual"]


def test_it_is_stored_with_the_decomposition(tmp_path):
    made = decomposed(BASE, FT, backend="gram32")
    save(made, tmp_path)
    made.measured["float32"] = float32_cost(made, BASE, FT)
    write_head(tmp_path, made)
    assert load(tmp_path).measured == made.measured
