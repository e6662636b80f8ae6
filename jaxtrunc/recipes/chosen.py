"""Which matrices of a pair there are, and which of them the settings select."""

from jaxtrunc import spectral
from jaxtrunc.config import DecomposeSettings
from jaxtrunc.models import leaf_class
from jaxtrunc.recipes.pair import Pair


def all_matrices(pair: Pair) -> list[spectral.MatrixRef]:
    """Every logical matrix of the pair."""
    return spectral.references({path: leaf.shape for path, leaf in pair.base.leaves.items()}, pair.names)


def chosen_matrices(pair: Pair, settings: DecomposeSettings) -> list[spectral.MatrixRef]:
    """The matrices that are decomposed; `InputError` if the regexes select none."""
    return spectral.select(all_matrices(pair), lambda path: leaf_class(pair.cfg, path), settings.include, settings.exclude)
