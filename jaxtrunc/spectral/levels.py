"""Levels: one point of a sweep each, and the list of them in an order that the incremental rebuild likes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jaxtrunc.spectral.backends import find_backend
from jaxtrunc.spectral.decomposition import Decomposition
from jaxtrunc.spectral.operators import find_operator, refuse_leading_only

ENERGIES = (0.5, 0.9, 0.99)
RATIOS = (0.5, 0.1, 0.01)


@dataclass(frozen=True)
class Level:
    """One cut of every matrix.

    Attributes:
      operator: name from the registry.
      k: components per matrix (drop_top_k: dropped); with scope global: over all matrices together.
      param: α, τ, ρ, or a fraction of r where an operator of the rank axis has no k.
      seed: of a random operator.
      norm_matched: each matrix rescaled to the norm of top_k at the same k.
      scope: per_leaf; global orders the components of all matrices by s, global_relative by s/‖ΔW‖_F.
    """

    operator: str
    k: int | None = None
    param: float | None = None
    seed: int | None = None
    norm_matched: bool = False
    scope: str = "per_leaf"


def default_ranks(r_max: int) -> tuple[int, ...]:
    """0, 1, 2, 4, … below r_max, and r_max (truncation.md, section 4)."""
    return 0, *(1 << bit for bit in range(max(r_max - 1, 0).bit_length())), r_max


def plan_levels(decomposition: Decomposition, operators: Iterable[str], ranks: Sequence[int] | None = None, *,
                fractions: Sequence[float] = (), alphas: Sequence[float] = (), seeds: Sequence[int] = (),
                match_norm: bool = False) -> list[Level]:
    """Every level of a sweep, by operator and seed, ranks ascending.

    Args:
      ranks: taken as given; None is the default grid, unless fractions are given.
      fractions: shares of r, matrix by matrix.
      alphas: points of interpolate.
      match_norm: adds each control once more, norm-matched, wherever a k cuts something.

    Raises:
      InputError: an unknown operator, a random one without seeds, or one that needs the tail of a leading-only backend.
    """
    if ranks is None:
        ranks = () if fractions else default_ranks(decomposition.r_max)
    points = [*((k, None) for k in sorted(set(ranks))), *((None, x) for x in sorted(set(fractions)))]
    levels: list[Level] = []
    for name in dict.fromkeys(operators):
        operator = find_operator(name)
        if operator.needs_tail and find_backend(decomposition.backend).leading:
            refuse_leading_only(name, decomposition.backend)
        plain = _points(name, points, alphas)
        draws = tuple(dict.fromkeys(seeds)) if operator.random else (None,)
        levels += [Level(name, k, param, seed) for seed in draws for k, param in plain]
        if match_norm and operator.control:
            matched = [(k, x) for k, x in points if (k or x) and (k or 0) < decomposition.r_max]
            levels += [Level(name, k, param, seed, norm_matched=True) for seed in draws for k, param in matched]
    return levels


def _points(name: str, ranks: list[tuple[int | None, float | None]],
            alphas: Sequence[float]) -> list[tuple[int | None, float | None]]:
    operator = find_operator(name)
    if operator.axis == "rank":
        return ranks
    if operator.axis is None:
        return [(None, None)]
    values = {"interpolate": alphas, "energy": ENERGIES, "ratio": RATIOS}[name]
    return [(None, value) for value in sorted(set(values))]
