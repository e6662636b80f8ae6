"""Which layers a run looks at where nobody names them: those of arXiv 2512.23260 for its models, else evenly spread ones."""

from collections.abc import Iterable

import numpy as np

from jaxtrunc.recipes.sae.base import Base, site_of
from jaxtrunc.sae.sites import KINDS, Site

PUBLISHED = {26: (5, 10, 15, 20), 42: (10, 15, 20, 25, 30), 32: (10, 15, 20, 25, 30)}
FIRST, LAST, COUNT = 0.2, 0.8, 4


def default_layers(layers: int) -> tuple[int, ...]:
    """The published ones of a model of so many (Gemma-2-2B, Gemma-2-9B, Llama-3.1-8B), else four from 20% to 80% of the depth."""
    spread = np.round(np.linspace(FIRST, LAST, COUNT) * (layers - 1)).astype(int)
    return PUBLISHED.get(layers, tuple(dict.fromkeys(spread.tolist())))


def sites_named(names: Iterable[str], base: Base) -> list[Site]:
    """The sites of these names; a kind without a layer stands for all default layers."""
    found = []
    for name in names:
        found += [Site(name, layer) for layer in default_layers(base.cfg.num_layers)] if name in KINDS else [site_of(name, base)]
    return found
