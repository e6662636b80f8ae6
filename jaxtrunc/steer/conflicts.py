"""Where and when two objectives conflict, found by a run of Muon on their sum (arXiv 2604.04231, figure of cosines)."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.files import staging_name
from jaxtrunc.steer.gate import Schedule
from jaxtrunc.steer.leaves import by_path
from jaxtrunc.steer.objectives import Batch, Loss, Objectives, loss_pair
from jaxtrunc.steer.sift import AdamConfig, sift, sift_metrics

NEVER = -2.0


@dataclass(frozen=True)
class Conflicts:
    """Cosines of the two momenta of a run without SIFT.

    Attributes:
      names: of the matrices, path[batch index].
      cos: (steps, matrices), NaN where a momentum was zero.
      where: path → mask `(b,)` of the matrices in conflict often enough; goes into `sift` as it is.
      when: the steps at which one of these was in conflict.
    """

    names: list[str]
    cos: np.ndarray
    where: dict[str, np.ndarray]
    when: Schedule

    def save(self, file: Path) -> None:
        """As .npz with `names` and `cos`."""
        staged = staging_name(file)
        with staged.open("wb") as out:
            np.savez(out, names=np.asarray(self.names), cos=self.cos)
        os.replace(staged, file)


def profile_conflicts(loss_f: Loss, loss_g: Loss, params: Any, batches: Iterable[Batch], steps: int, *, learning_rate: float = 1e-3,
                      threshold: float = 0.0, frequency: float = 0.5, adam: AdamConfig | None = None,
                      dimension_numbers: Any = None) -> Conflicts:
    """Train `steps` steps with Muon on the summed gradient and record every cosine; `params` are not changed.

    Args:
      threshold: a cosine below it is a conflict.
      frequency: a matrix is proposed that is in conflict at this share of the steps, or more.

    Raises:
      InputError: no step, fewer batches than steps, or no matrix is in conflict so often.
    """
    if steps < 1:
        raise InputError(f"profile: steps: expected at least 1, found {steps}")
    tx = sift(learning_rate, threshold=NEVER, diagnostics=False, adam=adam, dimension_numbers=dimension_numbers)
    both, state, rows, source = loss_pair(Objectives(loss_f, loss_g)), tx.init(params), [], iter(batches)

    @jax.jit
    def step(params: Any, state: Any, batch: Batch) -> tuple[Any, Any]:
        found = both(params, batch)
        updates, state = tx.update(found.gradients, state, params, constraint_grads=found.constraint_grads)
        return optax.apply_updates(params, updates), state

    for number in range(steps):
        batch = next(source, None)
        if batch is None:
            raise InputError(f"profile: expected {steps} batches, found {number}")
        params, state = step(params, state, batch)
        rows.append(jax.device_get(by_path(sift_metrics(state).cos)))
    return _proposed(rows, threshold, frequency)


def in_conflict(cos: np.ndarray, threshold: float = 0.0, frequency: float = 0.5) -> tuple[np.ndarray, tuple[int, ...]]:
    """Which matrices are in conflict at this share of the steps or more, `(matrices,)`, and the steps at which one of these was.

    Args:
      cos: (steps, matrices), NaN where a momentum was zero.
    """
    often = np.mean(cos < threshold, axis=0) >= frequency
    return often, tuple(int(step) for step in np.flatnonzero(((cos < threshold) & often).any(1)))


def _proposed(rows: list[dict[str, np.ndarray]], threshold: float, frequency: float) -> Conflicts:
    by_leaf = {path: np.stack([row[path] for row in rows]) for path in rows[0]}
    names = [f"{path}[{index}]" for path, cos in by_leaf.items() for index in range(cos.shape[1])]
    whole = np.concatenate(list(by_leaf.values()), axis=1)
    often, when = in_conflict(whole, threshold, frequency)
    ends = np.cumsum([cos.shape[1] for cos in by_leaf.values()])
    where = dict(zip(by_leaf, np.split(often, ends[:-1]), strict=True))
    if not when:
        raise InputError(f"profile: no matrix has a cosine below {threshold} at {frequency:.0%} of {len(rows)} steps: lower the "
                         "frequency, or train without SIFT")
    return Conflicts(names, whole, where, Schedule(steps=when))
