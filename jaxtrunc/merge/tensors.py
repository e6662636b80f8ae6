"""One tensor of all models side by side, as stored, and how it is read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from jaxtrunc.merge.settings import MergeSettings

NO_MATRIX = re.compile(r"embed_tokens|lm_head|wte|wpe|embed/embedding")
"""Names whose tensors the spectral methods average, though they have two axes: rows of a vocabulary, not a map."""


@dataclass(frozen=True)
class Slot:
    """Where a tensor lies in the trees of the models.

    Attributes:
      name: unique, the Hugging Face name where there is one.
      path: of the leaf.
      index: batch entry of the leaf.
      turned: the stored tensor is `leaf[index].T`.
      shape: of `leaf[index]`, `(in, out)` for kernels.
      matrix: whether it is one, and no embedding or vector.
    """

    name: str
    path: str
    index: int
    turned: bool
    shape: tuple[int, ...]
    matrix: bool

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """As the file has it."""
        return self.shape[::-1] if self.turned else self.shape


class Inputs:
    """One tensor of the base and of every model, read but not converted; arrays of the base's shape, `(in, out)` for kernels."""

    def __init__(self, slot: Slot, base: Any, models: Sequence[Any]):
        """`base` None: there is none; the leaves are indexed by `slot.index`."""
        self.slot, self._base, self._models = slot, base, models

    @cached_property
    def base(self) -> np.ndarray | None:
        """The base's tensor, in stored dtype."""
        return None if self._base is None else _entry(self._base, self.slot.index)

    @cached_property
    def models(self) -> list[np.ndarray]:
        """Those of the models."""
        return [_entry(leaf, self.slot.index) for leaf in self._models]

    def flat(self, array: np.ndarray) -> np.ndarray:
        """Row-major in the stored layout."""
        return (array.T if self.slot.turned else array).reshape(-1)

    def stored(self, flat: np.ndarray) -> np.ndarray:
        """The inverse of `flat`: a tensor in the stored layout."""
        return flat.reshape(self.slot.stored_shape)

    def taus(self, weights: Sequence[float]) -> np.ndarray:
        """w_t·(θ_t − θ_0) of a matrix, float32 `(T, m, n)`."""
        assert self.base is not None
        base = self.base.astype(np.float32)
        taus = np.empty((len(weights), *base.shape), np.float32)
        for index, (tuned, weight) in enumerate(zip(self.models, weights, strict=True)):
            np.subtract(tuned.astype(np.float32), base, out=taus[index])
            taus[index] *= np.float32(weight)
        return taus

    def release(self) -> None:
        """Let lazy leaves drop the memory pages."""
        for leaf in (*self._models, self._base):
            if hasattr(leaf, "release"):
                leaf.release(self.slot.index)


def spectral_matrix(slot: Slot, settings: MergeSettings) -> bool:
    """Whether a spectral method works on this tensor as a matrix."""
    named = NO_MATRIX.search(slot.name) or (settings.exclude and re.search(settings.exclude, slot.name))
    return settings.how.spectral and slot.matrix and not named


def _entry(leaf: Any, index: int) -> np.ndarray:
    return np.asarray(leaf[index])
