"""What is known of every leaf before any step: its view, its K, its candidates."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxtrunc.steer.leaves import MatrixView, matrix_views
from jaxtrunc.steer.options import SiftOptions
from jaxtrunc.steer.where import candidates


@dataclass(frozen=True)
class LeafPlan:
    """A leaf: its view, K, and which of its matrices are candidates `(b,)`."""

    view: MatrixView
    k: int
    where: np.ndarray

    @property
    def key(self) -> tuple[int, int, int]:
        """Leaves with the same one go through one loop; K is 0 where nothing can fire."""
        return self.view.m, self.view.n, self.k if self.where.any() else 0


def plans(tree: Any, options: SiftOptions) -> dict[str, LeafPlan]:
    """One for each leaf."""
    views = matrix_views(tree, options.dimension_numbers)
    masks = candidates(options.where, tree, views)
    return {path: LeafPlan(view, k := options.k(view.m, view.n), masks[path] & (k > 0)) for path, view in views.items()}
