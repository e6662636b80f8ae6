"""Tensor after tensor through a merge: those of no matrix one by one, matrices by a pool of threads or a mesh of devices."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jaxtrunc.core.chunks import core_count, in_threads
from jaxtrunc.core.errors import InputError
from jaxtrunc.merge.devices import merge_stack
from jaxtrunc.merge.entries import Merged, facts, magnitudes, merge_entries
from jaxtrunc.merge.matrix import MatrixPlan, merge_matrix, plan_matrix
from jaxtrunc.merge.settings import MergeSettings
from jaxtrunc.merge.tensors import Inputs, Slot, spectral_matrix
from jaxtrunc.merge.trim import Magnitudes, Trim, trim_all

Opener = Callable[[Slot], Inputs]


@dataclass(frozen=True)
class Task:
    """A matrix for a spectral method; `lowered`: its rank did not fit."""

    slot: Slot
    plan: MatrixPlan
    lowered: bool


def merge_tensors(slots: Sequence[Slot], opened: Opener, settings: MergeSettings,
                  mesh: Mesh | None = None) -> Iterator[tuple[Slot, Merged]]:
    """Every tensor once, merged, in the stored layout and float32.

    Args:
      opened: gives the tensors of a slot; they are read, used and released before the next ones.
      mesh: of this process's devices, for the spectral methods; None: threads of the host.

    Raises:
      InputError: values that are not finite, no base where the method needs one, or no matrix that the method could work on.
    """
    tasks, others = divide(slots, settings)
    trims = _global_trims(others, opened, settings) if settings.how.name == "ties" and settings.scope == "global" else {}
    for slot in others:
        inputs = opened(slot)
        merged = merge_entries(inputs, settings, trims.get(slot.name))
        inputs.release()
        del inputs
        yield slot, _finite(slot, merged)
    budget = max((int(np.prod(slot.shape)) for slot in slots), default=0)
    found = _pooled(tasks, opened, settings, budget) if mesh is None else _stacked(tasks, opened, settings, mesh)
    for slot, merged in found:
        yield slot, _finite(slot, merged)


def divide(slots: Sequence[Slot], settings: MergeSettings) -> tuple[list[Task], list[Slot]]:
    """The matrices of a spectral method with what is to be done, and all other tensors.

    Raises:
      InputError: there are more models than directions in every matrix.
    """
    planned = {slot: plan_matrix(settings, (slot.shape[0], slot.shape[1])) for slot in slots if spectral_matrix(slot, settings)}
    tasks = [Task(slot, plan, lowered) for slot, (plan, lowered) in planned.items() if plan is not None]
    if planned and not tasks:
        most = max(min(slot.shape) for slot in planned)
        raise InputError(f"models: {settings.tasks} models, but no matrix has more than {most} directions to divide among them; "
                         f"give fewer models or another method than {settings.how.name}")
    done = {task.slot for task in tasks}
    return tasks, [slot for slot in slots if slot not in done]


def _pooled(tasks: Sequence[Task], opened: Opener, settings: MergeSettings, budget: int) -> Iterator[tuple[Slot, Merged]]:
    """A thread per core, fewer where all together would hold more than T + 2 tensors of `budget` entries in float32."""
    each = max((int(np.prod(task.slot.shape)) for task in tasks), default=1)
    workers = int(np.clip((settings.tasks + 2) * budget // ((2 * settings.tasks + 10) * each), 1, core_count()))

    def work(task: Task) -> tuple[Slot, Merged]:
        inputs = opened(task.slot)
        taus = inputs.taus(settings.weights)
        merged = _put_together(task, inputs, taus, merge_matrix(task.plan, taus), settings)
        inputs.release()
        return task.slot, merged

    return in_threads(work, tasks, workers)


def _stacked(tasks: Sequence[Task], opened: Opener, settings: MergeSettings, mesh: Mesh) -> Iterator[tuple[Slot, Merged]]:
    """Matrices of one shape together, one per device."""
    groups: dict[tuple[MatrixPlan, tuple[int, ...]], list[Task]] = defaultdict(list)
    for task in tasks:
        groups[task.plan, task.slot.shape].append(task)
    for (plan, _), group in groups.items():
        for start in range(0, len(group), mesh.size):
            some = group[start:start + mesh.size]
            inputs = [opened(task.slot) for task in some]
            stack = np.stack([each.taus(settings.weights) for each in inputs])
            for task, each, taus, found in zip(some, inputs, stack, merge_stack(plan, stack, mesh), strict=True):
                yield task.slot, _put_together(task, each, taus, found, settings)
                each.release()


def _put_together(task: Task, inputs: Inputs, taus: np.ndarray, found: dict[str, Any], settings: MergeSettings) -> Merged:
    """θ_0 + λΔ in the stored layout, and what is known of the matrix."""
    assert inputs.base is not None
    update = settings.lam * found["delta"]
    merged = (inputs.base.astype(np.float32) + update).astype(np.float32)
    flat = taus.reshape(len(taus), -1)
    gram = (flat @ flat.T).astype(np.float64)
    known = facts(inputs, task.plan.method, gram, float(np.linalg.norm(update)))
    known |= {"rank_used": int(found["rank_used"]), "sti_before": float(found["sti_before"]),
              "sti_after": float(found["sti_after"]), "principal_cosines": found["principal"], "rank_lowered": task.lowered}
    return Merged(merged.T if inputs.slot.turned else merged, known)


def _global_trims(slots: Sequence[Slot], opened: Opener, settings: MergeSettings) -> dict[str, list[Trim | None]]:
    """Tensor name → its trim for every task, under one threshold per task."""
    def stream(task: int) -> Iterator[tuple[str, Magnitudes]]:
        for slot in slots:
            inputs = opened(slot)
            yield slot.name, magnitudes(inputs, task)
            inputs.release()

    by_task = [None if density == 1 else trim_all(lambda task=task: stream(task), density)
               for task, density in enumerate(settings.densities)]
    return {slot.name: [None if trims is None else trims[slot.name] for trims in by_task] for slot in slots}


def _finite(slot: Slot, merged: Merged) -> Merged:
    if not np.isfinite(merged.tensor).all():
        raise InputError(f"{slot.name}: merging gives NaN or infinite values; use sound checkpoints and smaller weights")
    return merged
