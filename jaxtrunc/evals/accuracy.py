"""What `acc` means in loss, retention, matched accuracy and the choice of k.

Balanced accuracy, unless the task says `accuracy: training`: then accuracy on the training distribution, each cell (class,
first attribute) weighted by its share of the training rows. The validation split has that distribution already and keeps
its groups to itself, so there the classes alone are weighted.
"""

from collections.abc import Sequence

import numpy as np

from jaxtrunc.evals import cells as weigh
from jaxtrunc.evals.cells import Cells, Weights
from jaxtrunc.evals.statistics import Panel, Statistics
from jaxtrunc.evals.truth import Truth


def accuracy_weights(truth: Truth, cells: Cells) -> Weights:
    """`acc` as weights over `cells`, which are those of the primary attribute, or the classes where groups are hidden."""
    if truth.training_classes is None:
        return weigh.balanced_accuracy(cells)
    counts = truth.training_counts.get(truth.primary or "") if cells.grouped else truth.training_classes
    return weigh.training_weighted(cells, counts)


def accuracy_panel(statistics: Statistics, predictions: Sequence[np.ndarray]) -> tuple[Panel, Weights]:
    """Several models on the cells that `acc` needs, and its weights."""
    truth = statistics.truth
    panel = statistics.panel(None if truth.training_classes is None else truth.primary, predictions)
    return panel, accuracy_weights(truth, panel.cells)
