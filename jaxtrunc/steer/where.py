"""Which matrices are candidates: by name, by tree, by function; and the published choices as names and fractions of depth."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxtrunc.core.errors import InputError
from jaxtrunc.steer.leaves import MatrixView, by_path

ROUNDING = 1e-9


@dataclass(frozen=True)
class Window:
    """Kernels of some layers, for a model of any depth; a `where` for leaves stacked over layers.

    Attributes:
      kernels: regular expression on the path.
      start, stop: fractions of depth. Layer ℓ of L is taken if [ℓ/L, (ℓ+1)/L) overlaps [start, stop).
    """

    kernels: str
    start: float = 0.0
    stop: float = 1.0

    def __post_init__(self) -> None:
        """Refuse an empty window."""
        if not 0 <= self.start < self.stop <= 1:
            raise InputError(f"where: layers: expected fractions 0 <= start < stop <= 1, found {self.start} and {self.stop}")

    def __call__(self, path: str, leaf: Any) -> np.ndarray:
        """A mask `(L,)` over the first axis of the leaf, False for another kernel."""
        if _search(self.kernels, path) is None:
            return np.asarray(False)
        if len(leaf.shape) < 3:
            raise InputError(f"where: '{path}' of shape {tuple(leaf.shape)} has no axis of layers; name matrices by a regular "
                             "expression")
        depth = leaf.shape[0]
        layer = np.arange(depth)
        return (layer < self.stop * depth - ROUNDING) & (layer + 1 > self.start * depth + ROUNDING)


# What the authors' code does (arXiv 2604.04231), as options of `sift`. Their list of 22 kernels and 20 steps for safety alignment
# belongs to one model: `profile_conflicts` finds such a list for another.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "unlearn": {"where": Window("down_proj", 5 / 32, 8 / 32), "threshold": None},
    "safety": {"threshold": 0.0},
    "speech": {"threshold": None},
    "hallucination": {"where": Window("[qkv]_proj"), "threshold": -0.3},
}


def candidates(where: Any, tree: Any, views: Mapping[str, MatrixView]) -> dict[str, np.ndarray]:
    """Per leaf a mask `(b,)` of the matrices that may fire.

    Raises:
      InputError: no matrix of the tree is one.
    """
    named = None if where is None or isinstance(where, str) or callable(where) else by_path(where)
    found = {}
    for path, leaf in by_path(tree).items():
        mask, view = np.asarray(_value(where, named, path, leaf), bool), views[path]
        if mask.size == view.b:
            mask = mask.reshape(view.batch)
        # One flag per layer stands for all further batch axes (experts).
        mask = mask.reshape(mask.shape + (1,) * (len(view.batch) - mask.ndim)) if mask.ndim else mask
        found[path] = np.broadcast_to(mask, view.batch).reshape(-1)
    if found and not any(mask.any() for mask in found.values()):
        raise InputError(f"where: {where!r} matches none of the {len(found)} matrix leaves, such as '{next(iter(found))}'")
    return found


def _value(where: Any, named: Mapping[str, Any] | None, path: str, leaf: Any) -> Any:
    if where is None:
        return True
    if named is not None:
        return named.get(path, False)
    return where(path, leaf) if callable(where) else _search(where, path) is not None


def _search(pattern: str, path: str) -> re.Match[str] | None:
    try:
        return re.search(pattern, path)
    except re.error as error:
        raise InputError(f"where: '{pattern}' is not a regular expression ({error})") from None
