"""What SIFT can be told, checked once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp
from jax.sharding import Mesh

from jaxtrunc.core.errors import InputError, did_you_mean
from jaxtrunc.steer.gate import Schedule
from jaxtrunc.steer.polar import POLARS

ALWAYS = Schedule()
CHOICES = {"polar": tuple(POLARS), "subspace": ("svd", "iterate", "none"), "fallback": ("muon", "zero", "v0", "avg"),
           "ns_coeffs": ("standard", "polar_express")}


@dataclass(frozen=True)
class SiftOptions:
    """Options of `scale_by_sift`.

    Attributes:
      rank: K, directions of each objective; a number, or a fraction of min(m, n). At most half of min(m, n).
      threshold: fire where the cosine of the two momenta is below; None: always.
      beta, nesterov, mu_dtype: of the two momenta, B ← βB + g, kept in `mu_dtype` and added in float32.
      where: candidate matrices: a regular expression on paths, a tree of booleans (or of `(b,)` masks), or (path, leaf) → either.
      when: candidate steps.
      polar: how the gathered bases are made orthonormal.
      subspace: "svd"; "iterate", a power iteration kept warm; "none", all singular vectors without the cap.
      power_steps: rounds of the power iteration in every step.
      rcond: eigenvalues of the bases' Gram matrix up to this are dropped; where both objectives nearly cancel it decides.
      sv_rtol: singular vectors of σ up to this times σ₁ are left out.
      max_active: of one stacked leaf at most so many matrices fire, those of the lowest cosine.
      fallback: where nothing fires: "muon" of the sum, "zero", "v0" (sum of both polar factors), "avg" (their mean).
      ns_steps, ns_coeffs: of the Newton–Schulz iteration there.
      rank_compensate: multiply a fired update by √(min(m, n) / rank_used).
      dimension_numbers: as in `optax.contrib.muon`; None: the last two axes, others are batch axes.
      diagnostics: measure interference and alignment of what fires.
      mesh: divide the matrices over its devices, each whole on one; None: leave placement to the compiler.

    Raises:
      InputError: a value outside its range.
    """

    rank: int | float = 256
    threshold: float | None = 0.0
    beta: float = 0.95
    nesterov: bool = True
    where: Any = None
    when: Schedule = ALWAYS
    polar: Literal["gram", "svd", "newton_schulz", "polar_express"] = "gram"
    subspace: Literal["svd", "iterate", "none"] = "svd"
    power_steps: int = 2
    rcond: float = 1e-4
    sv_rtol: float = 1e-5
    max_active: int | None = None
    fallback: Literal["muon", "zero", "v0", "avg"] = "muon"
    ns_steps: int = 5
    ns_coeffs: Literal["standard", "polar_express"] = "standard"
    rank_compensate: bool = False
    mu_dtype: Any = jnp.float32
    dimension_numbers: Any = None
    diagnostics: bool = True
    mesh: Mesh | None = None

    def __post_init__(self) -> None:
        """Refuse values outside their range with an `InputError` that names the key."""
        for name, known in CHOICES.items():
            given = str(getattr(self, name))
            if given not in known:
                raise InputError(f"sift: {name}: '{given}' is not known{did_you_mean(given, known)}")
        self._check("rank", lambda rank: rank >= 1 if isinstance(rank, int) else 0 < rank <= 1,
                    "at least 1, or a fraction in (0, 1]")
        self._check("beta", lambda beta: 0 <= beta < 1, "from 0 to below 1")
        for name in ("rcond", "sv_rtol"):
            self._check(name, lambda value: 0 <= value < 1, "from 0 to below 1")
        for name in ("power_steps", "ns_steps", "max_active"):
            self._check(name, lambda value: value is None or value >= 1, "at least 1")

    def _check(self, name: str, holds: Callable[[Any], bool], wanted: str) -> None:
        if not holds(getattr(self, name)):
            raise InputError(f"sift: {name} must be {wanted}, found {getattr(self, name)}")

    def k(self, m: int, n: int) -> int:
        """Directions of each objective for an m × n matrix; 0: too small to be shared by two."""
        short = min(m, n)
        if self.subspace == "none":
            return short
        rank = self.rank if isinstance(self.rank, int) else max(1, int(self.rank * short))
        return min(rank, short // 2)
