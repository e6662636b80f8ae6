"""Levels: one point of a sweep each, which to visit and in which order, and how much of each matrix it keeps."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from jaxtrunc.core.errors import InputError, did_you_mean
from jaxtrunc.spectral.chains import ladder
from jaxtrunc.spectral.decomposition import Decomposition, Spectrum
from jaxtrunc.spectral.gains import require
from jaxtrunc.spectral.operators import OPERATORS, Operator, find_operator

ALPHAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SCOPES = {"per_leaf": lambda spectrum: 1.0, "global": lambda spectrum: 1.0,
          "global_relative": lambda spectrum: spectrum.frobenius}
"""Scope → what singular values are divided by before they are compared across matrices."""


@dataclass(frozen=True)
class Level:
    """One cut of all matrices.

    Attributes:
      k: components kept per matrix (dropped, for drop_top_k); over all matrices together in the global scopes.
      param: τ, ρ, α or share of the operator, or the fraction of r on a rank operator; k and param exclude each other.
      norm_matched: every ΔW(g) is rescaled to the norm of top_k at the same k or fraction. For interpolate that makes
        α_l(k) = ‖ΔW_top,l‖/‖ΔW_l‖ out of the k or fraction.
      scope: per_leaf, global (raw s) or global_relative (s/‖ΔW‖_F).
    """

    operator: str
    k: int | None = None
    param: float | None = None
    seed: int | None = None
    norm_matched: bool = False
    scope: str = "per_leaf"


def default_ranks(r_max: int, known: int | None = None) -> tuple[int, ...]:
    """0, 1, 2, 4, 8, … and r_max; where only the `known` leading components were computed, no further than these before r_max."""
    return *(k for k in ladder(r_max) if known is None or k <= known), r_max


def plan_levels(decomposition: Decomposition, operators: Sequence[str], ranks: Sequence[int] | None = None, *,
                fractions: Sequence[float] = (), alphas: Sequence[float] = ALPHAS, seeds: Sequence[int] = (0, 1, 2, 3, 4),
                match_norm: bool = False, scope: str = "per_leaf") -> list[Level]:
    """The levels of a sweep, in the order in which they share most work.

    interpolate yields one level per α and, norm-matched, one per k or fraction that cuts something: α_l(k) is its only
    point that belongs to a k. energy, ratio and sparsify take their parameters from `fractions`, or the operator's own. Ranks
    default to `default_ranks` where there are no fractions; given ones are taken as given.

    Raises:
      InputError: a value out of range, an unknown operator, or one that needs components which the backend did not compute.
    """
    if ranks is None:
        known = min((len(svd.s) for svd in decomposition.matrices.values() if not svd.complete), default=None)
        ranks = () if fractions else default_ranks(decomposition.r_max, known)
    amounts = [{"k": int(k)} for k in sorted(set(ranks))] + [{"param": float(f)} for f in sorted(set(fractions))]
    cutting = [amount for amount in amounts if 0 < amount.get("k", 1) < decomposition.r_max and 0 < amount.get("param", 0.5) < 1]
    levels: list[Level] = []
    for name in dict.fromkeys(operators):
        operator = find_operator(name)
        if operator.axis == "param":
            values = alphas if name == "interpolate" else fractions or operator.defaults
            levels += _levels_of(name, [{"param": float(value)} for value in sorted(set(values))], seeds, decomposition.r_max)
        else:
            levels += _levels_of(name, amounts if operator.axis else [{}], seeds, decomposition.r_max)
        if operator.matchable and (match_norm or name == "interpolate"):
            levels += [replace(level, norm_matched=True) for level in _levels_of(name, cutting, seeds, decomposition.r_max)]
    levels = [replace(level, scope=scope) for level in levels]
    for level in levels:
        check_level(level, decomposition)
    return levels


def _levels_of(name: str, amounts: list[dict], seeds: Sequence[int], r_max: int) -> list[Level]:
    operator, ordered = find_operator(name), amounts
    if name == "drop_top_k":  # what drops over half is built up from the last component, the rest down from the full update
        late = [amount for amount in amounts if amount.get("k", 0) > r_max / 2 or amount.get("param", 0.0) > 0.5]
        ordered = late[::-1] + [amount for amount in amounts if amount not in late]
    drawn = sorted(set(seeds)) if operator.random else [None]
    if operator.perturb:  # all seeds share what is perturbed
        return [Level(name, **amount, seed=seed) for amount in ordered for seed in drawn]
    return [Level(name, **amount, seed=seed) for seed in drawn for amount in ordered]


def check_level(level: Level, decomposition: Decomposition) -> None:
    """Raise `InputError` if a level is malformed or its operator needs components that were not computed."""
    operator = find_operator(level.operator)
    if level.scope not in SCOPES:
        raise InputError(f"scope '{level.scope}': unknown{did_you_mean(level.scope, SCOPES)}")
    if level.scope != "per_leaf" and (operator.axis != "rank" or operator.random):
        raise InputError(f"operator {level.operator}: has no {level.scope} scope; use top_k, bottom_k or drop_top_k")
    if level.norm_matched and not operator.matchable:
        able = ", ".join(name for name, other in OPERATORS.items() if other.matchable)
        raise InputError(f"operator {level.operator}: is not matched to the norm of top_k; these are: {able}")
    if not _has_amount(level, operator):
        raise InputError(f"operator {level.operator}: found k = {level.k}, parameter = {level.param}; it takes "
                         + {"rank": "k or a fraction", "param": "a parameter", None: "neither"}[operator.axis])
    if (level.k or 0) < 0 or (level.param is not None and not 0 <= level.param <= 1):
        raise InputError(f"operator {level.operator}: k = {level.k}, parameter = {level.param}; k is at least 0, "
                         "a fraction, τ, ρ, α or share lies in [0, 1]")
    if operator.random and level.seed is None:
        raise InputError(f"operator {level.operator}: needs a seed")
    partial = next((svd for svd in decomposition.matrices.values() if not svd.complete), None)
    if operator.needs_tail and partial is not None:
        raise InputError(f"operator {level.operator}: needs the singular tail, but backend {decomposition.backend} serves "
                         f"leading components only ({len(partial.s)} of {partial.r} of {partial.name}); decompose with "
                         "--backend gram64 and without --leading")
    if operator.axis == "rank" and level.scope == "per_leaf":
        for svd in decomposition.matrices.values():
            k = level.k if level.k is not None else fraction_k(level.param or 0.0, svd.r)
            if k < svd.rank:
                require(svd, k)


def _has_amount(level: Level, operator: Operator) -> bool:
    has_k, has_param = level.k is not None, level.param is not None
    if operator.axis is None:
        return not has_k and not has_param
    if operator.axis == "rank" or level.norm_matched:
        return has_k != has_param
    return has_param and not has_k


def gains_of(level: Level, decomposition: Decomposition) -> dict[str, np.ndarray]:
    """Gains `(r,)` of every matrix at a level, by name, before norm matching."""
    operator = find_operator(level.operator)
    amounts = _amounts(level, operator, decomposition)
    seed = (level.seed,) if operator.random and not operator.perturb else ()
    return {name: operator.gains(svd, *amounts(svd), *seed) for name, svd in decomposition.matrices.items()}


def _amounts(level: Level, operator: Operator, decomposition: Decomposition) -> Callable[[Spectrum], tuple]:
    if operator.axis is None:
        return lambda spectrum: ()
    if level.operator == "interpolate" and level.norm_matched:
        return lambda spectrum: (1.0,)  # the norm factor is the α_l(k)
    if operator.axis == "param":
        return lambda spectrum: (level.param,)
    if level.scope != "per_leaf":
        counts = _global_counts(level, decomposition)
        return lambda spectrum: (counts[spectrum.name],)
    if level.k is not None:
        return lambda spectrum: (level.k,)
    return lambda spectrum: (fraction_k(level.param or 0.0, spectrum.r),)


def fraction_k(fraction: float, r: int) -> int:
    """max(1, round(fraction · r)), and 0 only for the fraction 0."""
    return max(1, int(fraction * r + 0.5)) if fraction > 0 else 0


def _global_counts(level: Level, decomposition: Decomposition) -> dict[str, int]:
    """How many components of each matrix are among the K largest (bottom_k: smallest) of all."""
    spectra: Iterable[Spectrum] = decomposition.matrices.values()
    pool = [(value / (SCOPES[level.scope](x) or 1.0), x.name) for x in spectra for value in x.s[:x.rank].tolist()]
    total = sum(x.r for x in spectra)
    wanted = level.k if level.k is not None else fraction_k(level.param or 0.0, total)
    if wanted >= len(pool):
        return {x.name: x.r for x in spectra}
    pool.sort(key=lambda item: item[0], reverse=level.operator != "bottom_k")
    counts = dict.fromkeys(decomposition.matrices, 0)
    for _, name in pool[:wanted]:
        counts[name] += 1
    return counts
