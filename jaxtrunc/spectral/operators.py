"""The operators by name: a gain function, the axis it is swept along, and how its cuts are built.

Every operator is gains and nothing but gains, save the two perturbations, controls that go on from ΔW(g) to its entries.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from jaxtrunc.core.errors import InputError, did_you_mean
from jaxtrunc.spectral import gains
from jaxtrunc.spectral.chains import Chain, ladder, leading_chain, remainder_chain, trailing_chain
from jaxtrunc.spectral.decomposition import Spectrum
from jaxtrunc.spectral.perturb import Perturbation, add_noise, sparsify

PerturbRule = Callable[[Spectrum, np.ndarray, float | None, int], Perturbation | None]
ChainRule = Callable[[Spectrum, np.ndarray, int | None], Chain]


@dataclass(frozen=True)
class Operator:
    """One way to cut.

    Attributes:
      gains: `(spectrum, amount[, seed]) → g`; the amount is k on the rank axis, else the parameter.
      axis: what the amount means: "rank" (k, or a fraction of r), "param" (τ, ρ, α, share), or None: there is no amount.
      chain: how 0/1 gains are reached incrementally; None: the cut is rebuilt exactly.
      perturb: `(spectrum, g, parameter, seed) → what is done to the entries of ΔW(g)`, or None where nothing is; then the
        gains draw nothing, the seed is the perturbation's.
      random: whether a seed is drawn.
      matchable: whether norm matching to top_k applies.
      needs_tail: whether it is refused where only leading components are known.
      defaults: parameters of a sweep that names none.
    """

    gains: Callable[..., np.ndarray]
    axis: Literal["rank", "param"] | None = "rank"
    chain: ChainRule | None = leading_chain
    perturb: PerturbRule | None = None
    random: bool = False
    matchable: bool = False
    needs_tail: bool = False
    defaults: tuple[float, ...] = ()


def _drawn_chain(spectrum: Spectrum, g: np.ndarray, seed: int | None) -> Chain:
    order = gains.permutation(spectrum, seed or 0)
    return Chain(("random", seed or 0), False, order, ladder(spectrum.rank), int(g.sum()))


OPERATORS: dict[str, Operator] = {
    "top_k": Operator(gains.top_k),
    "bottom_k": Operator(gains.bottom_k, chain=trailing_chain, matchable=True, needs_tail=True),
    "drop_top_k": Operator(gains.drop_top_k, chain=remainder_chain, matchable=True, needs_tail=True),
    "random_k": Operator(gains.random_k, chain=_drawn_chain, random=True, matchable=True, needs_tail=True),
    "interpolate": Operator(gains.interpolate, axis="param", chain=None, matchable=True),
    "energy": Operator(gains.energy, axis="param", defaults=(0.5, 0.9, 0.99)),
    "ratio": Operator(gains.ratio, axis="param", defaults=(0.01, 0.1, 0.5)),
    "mp_edge": Operator(gains.above_mp_edge, axis=None, needs_tail=True),
    "dg_hard": Operator(gains.above_hard_threshold, axis=None, needs_tail=True),
    # Three controls are not norm-matched: flatten_k has the norm of top_k as it is; noise is defined by the norm that top_k
    # lacks; and sparsify has no k, and without its factor 1/share its mean would not be the update.
    "flatten_k": Operator(gains.flatten_k, chain=None),
    "sparsify": Operator(gains.whole, axis="param", chain=None, perturb=sparsify, random=True, defaults=(0.1, 0.25, 0.5, 0.75)),
    "noise": Operator(gains.top_k, perturb=add_noise, random=True, needs_tail=True),
}


def find_operator(name: str) -> Operator:
    """The operator of that name; `InputError` suggests the nearest."""
    if name not in OPERATORS:
        raise InputError(f"operator '{name}': unknown{did_you_mean(name, OPERATORS)}")
    return OPERATORS[name]
