"""What a decomposition holds: per matrix its singular values, the short-side basis, and what identifies its inputs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from jaxtrunc.spectral.view import MatrixRef


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The singular values of one ΔW, all that an operator may look at.

    Attributes:
      name: of the matrix; random operators fold it into their key.
      shape: `(m, n)`; r = min(m, n).
      s: float64 `(c,)`, descending; c < r where the backend computed leading components only.
      rank: numerical rank ρ, an upper bound (r) where only leading components are known.
      frobenius: ‖ΔW‖_F.
      leading: the backend is accurate for leading components only, even where it returned all of them.
    """

    name: str
    shape: tuple[int, int]
    s: np.ndarray
    rank: int
    frobenius: float
    leading: bool = field(default=False, kw_only=True)

    @property
    def r(self) -> int:
        """min(m, n), the number of singular values."""
        return min(self.shape)

    @property
    def complete(self) -> bool:
        """Whether all r components are known, the tail included."""
        return not self.leading and len(self.s) == self.r

    def norm(self, gains: np.ndarray) -> float:
        """‖ΔW(g)‖_F for gains `(r,)`; unknown components are taken to share the gain of the last one."""
        known = len(self.s)
        energy = float(np.sum((gains[:known] * self.s) ** 2))
        if not self.complete:
            energy += float(gains[-1] ** 2) * max(self.frobenius**2 - float(np.sum(self.s**2)), 0.0)
        return energy**0.5


@dataclass(frozen=True, eq=False)
class MatrixSVD(Spectrum):
    """One decomposed ΔW. The long-side factor is not kept: it is ΔW times the basis.

    Attributes:
      side: which side the basis belongs to, the shorter one: "out" (right singular vectors) if n ≤ m, else "in".
      read_basis: gives the basis `(r, c)`, columns ordered by singular value, in the backend's dtype (float64 by
        default: a float32 basis would mix 6e-8 of the largest component into the smallest).
      base_hash, ft_hash: of the two matrices as stored (`view.content_hash`).
      zero_share: share of exactly zero entries of ΔW. max_abs: of ΔW. rms_w: rms of W_ft.
    """

    ref: MatrixRef
    side: Literal["in", "out"]
    read_basis: Callable[[], np.ndarray]
    base_hash: str
    ft_hash: str
    zero_share: float
    max_abs: float
    rms_w: float

    @property
    def basis(self) -> np.ndarray:
        """The short-side singular vectors `(r, c)`, read from disk where the decomposition was loaded."""
        return self.read_basis()


@dataclass(eq=False)
class Decomposition:
    """Every decomposed matrix by name, in tree order, and the names of those whose ΔW is zero.

    Attributes:
      leading: how many components were asked for; None: all that the backend knows.
      measured: on accelerators, by size of matrix: where eigenvectors were found, and the seconds that decided it; for gram32,
        under "float32": what it costs (`float32_cost`).
    """

    backend: str
    matrices: dict[str, MatrixSVD] = field(default_factory=dict)
    skipped: dict[str, MatrixRef] = field(default_factory=dict)
    leading: int | None = None
    measured: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def r_max(self) -> int:
        """The largest r over the matrices; 0 if there are none."""
        return max((matrix.r for matrix in self.matrices.values()), default=0)


def tree_order(ref: MatrixRef) -> tuple[str, int, int]:
    """Sort key: path, batch index, position of the part."""
    return ref.path, ref.index, ref.view.part[1] if ref.view.part else 0


def numerical_rank(s: np.ndarray, shape: tuple[int, int], rms_w: float, float64: bool) -> int:
    """ρ, the number of singular values above rounding and, for float64 backends, above float32 storage noise.

    θ = max(8·2⁻⁵²·s₁·√r, 8·2⁻²⁴·rms(W_ft)·(√m+√n)/√12), or s₁·max(m, n)·2⁻²³ for a float32 backend. Where only
    leading components are known and all stand above θ, the answer is r.
    """
    (m, n), r = shape, min(shape)
    if float64:
        storage = 8 * 2.0**-24 * rms_w * (m**0.5 + n**0.5) / 12**0.5
        threshold = max(8 * 2.0**-52 * s[0] * r**0.5, storage)
    else:
        threshold = s[0] * max(m, n) * 2.0**-23
    above = int(np.sum(s > threshold))
    return r if above == len(s) else above
