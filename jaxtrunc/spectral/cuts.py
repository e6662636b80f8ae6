"""A level made concrete: for each matrix its gains, its norm factor and the chain that reaches it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral.chains import Chain
from jaxtrunc.spectral.decomposition import Decomposition, Spectrum
from jaxtrunc.spectral.levels import Level, check_level, gains_of
from jaxtrunc.spectral.operators import find_operator
from jaxtrunc.spectral.perturb import Perturbation


@dataclass(frozen=True, eq=False)
class Cut:
    """What becomes of one matrix: W = W_base + factor · ΔW(gains), by `chain` or, without one, rebuilt exactly.

    With `perturb`, its entries are changed by that at the end.
    """

    gains: np.ndarray
    factor: float = 1.0
    chain: Chain | None = None
    perturb: Perturbation | None = None

    @property
    def end(self) -> str | None:
        """"base" or "ft" where the result is one of the two checkpoints, which is then never rebuilt."""
        if self.perturb:
            return None
        if self.factor == 0 or not self.gains.any():
            return "base"
        return "ft" if self.factor == 1 and bool(np.all(self.gains == 1)) else None

    def norms(self, spectrum: Spectrum) -> tuple[float, float]:
        """‖ΔW − D‖_F and ‖D‖_F, D = W − W_base: what was removed and what is kept. Of a perturbation, over its draws."""
        if self.perturb:
            return self.perturb.removed, self.perturb.kept
        return spectrum.norm(1 - self.factor * self.gains), spectrum.norm(self.factor * self.gains)


def cuts_of(level: Level, decomposition: Decomposition) -> tuple[dict[str, Cut], str | None]:
    """Cuts by matrix name, and why the level must be skipped, if it must.

    A norm-matched level is skipped where a matrix of the control is zero and that of top_k is not; a data-free edge where
    a matrix has no noise bulk.
    """
    check_level(level, decomposition)
    try:
        gains = gains_of(level, decomposition)
    except InputError as error:
        if find_operator(level.operator).axis is None:
            return {}, str(error)
        raise
    factors: Mapping[str, float | None] = dict.fromkeys(gains, 1.0)
    if level.norm_matched:
        top = gains_of(replace(level, operator="top_k", seed=None), decomposition)
        factors = {name: _match(svd, top[name], gains[name]) for name, svd in decomposition.matrices.items()}
    lost = [name for name, factor in factors.items() if factor is None]
    if lost:
        return {}, (f"{level.operator} at k = {level.k} keeps nothing of {lost[0]} ({len(lost)} such matrices) while top_k "
                    "does: no factor gives them equal norms")
    return {name: _cut(svd, level, gains[name], factors[name] or 0.0)
            for name, svd in decomposition.matrices.items()}, None


def _match(spectrum: Spectrum, top: np.ndarray, control: np.ndarray) -> float | None:
    wanted, given = spectrum.norm(top), spectrum.norm(control)
    if given == 0:
        return 1.0 if wanted == 0 else None
    return wanted / given


def _cut(spectrum: Spectrum, level: Level, gains: np.ndarray, factor: float) -> Cut:
    operator = find_operator(level.operator)
    perturb = operator.perturb(spectrum, gains, level.param, level.seed or 0) if operator.perturb else None
    cut, rule = Cut(gains, factor, perturb=perturb), operator.chain
    return cut if cut.end or rule is None else replace(cut, chain=rule(spectrum, gains, level.seed))
