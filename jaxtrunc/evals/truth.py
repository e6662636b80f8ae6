"""What is known about the examples of one split: labels, attributes, and which class goes with which value."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Int

VALIDATION = "validation"
MISSING = -1


@dataclass(frozen=True)
class Truth:
    """Labels and attributes of one split; metrics alone read it, and the selection of k sees it without attributes.

    Attributes:
      labels: class indices.
      attributes: name → 0/1 per example, in the task's order; the first is the primary one. An example in which another one is
        missing (−1) plays no part in that attribute's metrics.
      directions: name → per class +1 (goes with value 1), −1 (with value 0) or 0 (left out); None if unknown.
      training_counts: name → examples per (class, value) in the training split; None if it was not read.
      training_classes: examples per class in the training split, where the task counts accuracy on the training
        distribution (evals/accuracy.py); else None.
      unions: the attributes that are others taken together (`any_of`).
    """

    split: str
    labels: Int[np.ndarray, " n"]
    class_names: tuple[str, ...]
    attributes: Mapping[str, Int[np.ndarray, " n"]] = field(default_factory=dict)
    directions: Mapping[str, Int[np.ndarray, " C"] | None] = field(default_factory=dict)
    training_counts: Mapping[str, Int[np.ndarray, "C 2"] | None] = field(default_factory=dict)
    training_classes: Int[np.ndarray, " C"] | None = None
    unions: tuple[str, ...] = ()

    @property
    def primary(self) -> str | None:
        """The first attribute of the task, or None."""
        return next(iter(self.attributes), None)

    def without_groups(self) -> "Truth":
        """The same split with no attributes: all that the selection of k may see."""
        return replace(self, attributes={}, directions={}, training_counts={})
