"""Which tensors are trained. The others have no gradient, no optimiser state, and keep their bits."""

from collections.abc import Callable
from typing import Any

from jaxtrunc.core.trees import Params, flatten, unflatten

Flat = dict[str, Any]


def split(params: Params, classes: Callable[[str], str], scope: str) -> tuple[Flat, Flat]:
    """`{path: leaf}` of the trained leaves and of the frozen ones."""
    flat = flatten(params)
    trained = {path: leaf for path, leaf in flat.items() if scope == "all" or classes(path) == "linear"}
    return trained, {path: leaf for path, leaf in flat.items() if path not in trained}


def merge(trained: Flat, frozen: Flat) -> Params:
    """The whole parameter tree again."""
    return unflatten({**frozen, **trained})
