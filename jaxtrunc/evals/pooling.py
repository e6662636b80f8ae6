"""Scores of trained classes become scores of the classes they are evaluated as."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from jaxtrunc.data import Task


@dataclass(frozen=True)
class Pooling:
    """Which trained classes are taken together, and how.

    Attributes:
      members: per evaluated class the columns of the trained classes in it.
      rule: "sum": the score of a class is log Σ exp over its members, so that the softmax of the pooled scores holds the sums
        of their probabilities; "argmax": it is that of its best member.
    """

    members: tuple[tuple[int, ...], ...]
    rule: str

    def apply(self, scores: Float[np.ndarray, "n C"]) -> Float[np.ndarray, "n E"]:
        """One column per evaluated class, float32."""
        pool = logsumexp if self.rule == "sum" else np.max
        return np.stack([pool(scores[:, list(columns)], axis=1) for columns in self.members], axis=1).astype(np.float32)


def pooling_of(task: Task) -> Pooling | None:
    """What the task's `merge` says, or None where the trained classes are evaluated as they are."""
    if task.merge is None:
        return None
    members = tuple(tuple(task.classes.index(name) for name in inside) for inside in task.merge.classes.values())
    return Pooling(members, task.merge.rule)
