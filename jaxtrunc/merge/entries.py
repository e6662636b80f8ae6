"""The methods that act entry by entry, and the average: a tensor goes through them some entries at a time, a thread per core."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxtrunc.core.chunks import each_chunk
from jaxtrunc.merge.interference import frobenius_cosines
from jaxtrunc.merge.settings import MergeSettings
from jaxtrunc.merge.tensors import Inputs
from jaxtrunc.merge.trim import Magnitudes, Trim, trim_each
from jaxtrunc.merge.vote import elect
from jaxtrunc.spectral.draws import generator_for

CHUNK = 1 << 16
"""Entries at a time: what is made of them stays in the cache. DARE's masks depend on it."""


@dataclass(frozen=True)
class Part:
    """Some entries of one tensor: its name, from which entry on, θ_t − θ_0 `(T, n)` in float32."""

    name: str
    start: int
    taus: np.ndarray


@dataclass(frozen=True)
class Merged:
    """A merged tensor as stored, float32, and what is known of it (see `facts`)."""

    tensor: np.ndarray
    facts: dict[str, Any]


def merge_entries(inputs: Inputs, settings: MergeSettings, trims: Sequence[Trim | None] | None = None) -> Merged:
    """One tensor by the method of `settings`; by their mean, λ·mean(w_t·τ_t), if that is a spectral one.

    Args:
      inputs: without a base only `linear` can be done, and nothing is known of task vectors.
      trims: of the tasks, for TIES with one threshold over all tensors; default: those of this tensor.
    """
    if settings.how.name == "ties" and trims is None:
        tasks = [magnitudes(inputs, task) for task in range(settings.tasks)]
        trims = trim_each(tasks, settings.densities, _room(inputs))
    base, models = inputs.base, [inputs.flat(model) for model in inputs.models]
    out = np.empty(models[0].size, np.float32)
    gram, squares = np.zeros((len(models), len(models))), 0.0

    def work(start: int, first: np.ndarray) -> tuple[np.ndarray | float, float]:
        span = slice(start, start + first.size)
        thetas = np.stack([model[span].astype(np.float32) for model in models])
        if base is None:
            out[span] = _mean(thetas, settings)
            return 0.0, 0.0
        before = inputs.flat(base)[span].astype(np.float32)
        taus = thetas - before
        products = taus @ taus.T  # before entries are dropped from them
        out[span] = _mean(thetas, settings) if settings.how.name == "linear" else \
            before + _update(Part(inputs.slot.name, start, taus), settings, trims)
        delta = out[span] - before
        return products, float(np.vdot(delta, delta))

    for products, square in each_chunk(models[0], work, CHUNK):
        gram, squares = gram + products, squares + square
    weighted = gram * np.outer(settings.weights, settings.weights)
    action = "averaged" if settings.how.spectral else settings.how.name
    known = (None, None) if base is None else (weighted, squares**0.5)
    return Merged(inputs.stored(out), facts(inputs, action, *known))


def magnitudes(inputs: Inputs, task: int) -> Magnitudes:
    """|τ_t| of one task."""
    assert inputs.base is not None
    return Magnitudes(inputs.flat(inputs.base), inputs.flat(inputs.models[task]))


def facts(inputs: Inputs, action: str, gram: np.ndarray | None, delta_norm: float | None) -> dict[str, Any]:
    """What merge.json says of a tensor, as far as it applies to every method; `gram` holds ⟨w_iτ_i, w_jτ_j⟩."""
    known = gram is not None
    return {"shape": list(inputs.slot.stored_shape), "action": action, "rank_used": None, "delta_norm": delta_norm,
            "task_norms": np.sqrt(np.diag(gram)) if known else None, "sti_before": None, "sti_after": None,
            "frobenius_cosine": frobenius_cosines(gram) if known else None, "principal_cosines": None}


def _room(inputs: Inputs) -> float:
    """Float32 copies of a tensor that fit beside the T + 1 as stored, if T + 3 may be held in all."""
    models = inputs.models
    return len(models) + 3 - sum(model.dtype.itemsize for model in (models[0], *models)) / 4


def _mean(thetas: np.ndarray, settings: MergeSettings) -> np.ndarray:
    """Σ w_t θ_t, divided by Σ w_t if normalised, float32 `(n,)`."""
    total = np.array(settings.weights, np.float32) @ thetas
    return total / np.float32(sum(settings.weights)) if settings.normalized else total


def _update(part: Part, settings: MergeSettings, trims: Sequence[Trim | None] | None) -> np.ndarray:
    """λ·Δ of some entries, float32 `(n,)`."""
    weights, method = np.array(settings.weights, np.float32), settings.how.name
    if method == "ties":
        _trim(part, trims or ())
    if method.startswith("dare"):
        _drop(part, settings)
    lam = np.float32(settings.lam)
    if method in ("ties", "dare_ties"):
        return elect(part.taus * weights[:, None], weights, settings.normalized) * lam
    divisor = 1.0
    if settings.how.spectral:
        divisor = settings.tasks
    elif settings.normalized:
        divisor = sum(settings.weights)
    return (weights @ part.taus) / np.float32(divisor) * lam


def _trim(part: Part, trims: Sequence[Trim | None]) -> None:
    """Zeros where a task's magnitude is too small."""
    for tau, trim in zip(part.taus, trims, strict=True):
        if trim is not None:
            tau[~trim.keeps(np.abs(tau), part.start)] = 0


def _drop(part: Part, settings: MergeSettings) -> None:
    """Zeros at random, and the rest divided by the density (Yu et al. 2023, arXiv 2311.03099)."""
    for task, (tau, density) in enumerate(zip(part.taus, settings.densities, strict=True)):
        if density < 1:
            draws = generator_for(part.name, f"dare {settings.seed} {task} {part.start}").random(tau.size, np.float32)
            tau *= (draws < density) / np.float32(density)
