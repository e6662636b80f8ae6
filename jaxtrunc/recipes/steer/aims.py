"""The two losses of each kind of task, as functions of a decoder's parameters, and what the frozen reference says of the rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.trees import Params
from jaxtrunc.models import DecoderConfig, Execution, head_logits, hidden_states, watched
from jaxtrunc.recipes.steer.rows import Table
from jaxtrunc.recipes.steer.settings import ConstraintSettings, PrimarySettings
from jaxtrunc.recipes.steer.task import Kind, SteerTask
from jaxtrunc.steer import Objectives, objectives
from jaxtrunc.steer.losses import control_vector, log_probs

# Kind → primary loss → constraint; the first is the default.
LOSSES: Mapping[Kind, Mapping[str, str]] = {
    "unlearn": {"npo": "cross_entropy", "rmu": "retention"},
    "safety": {"dpo": "cross_entropy"},
    "speech": {"cross_entropy": "cross_entropy"},
    "hallucination": {"unlikelihood": "cross_entropy"},
}
WEIGHTS = {"unlikelihood": 2.0, "retention": 100.0}
BETAS = {"npo": 0.1, "dpo": 0.01}
RMU_DEPTH = 8 / 32  # the authors take the output of layer 7 of 32
REFERENCE_ROWS = 16


@dataclass(frozen=True)
class Aim:
    """Everything the two losses depend on; equal aims share what is compiled."""

    kind: Kind
    cfg: DecoderConfig
    execution: Execution
    primary: PrimarySettings
    text_vocabulary: int | None

    @property
    def layer(self) -> int:
        """Whose output RMU moves."""
        given = self.primary.layer
        return max(0, round(RMU_DEPTH * self.cfg.num_layers) - 1) if given is None else given


def aim_of(task: SteerTask, primary: PrimarySettings, constraint: ConstraintSettings, execution: Execution) -> tuple[Aim, float]:
    """What is aimed at with every default filled in, and the weight of the constraint.

    Raises:
      InputError: losses that do not belong to this kind of task, or a layer that the model does not have.
    """
    known = LOSSES[task.kind]
    loss: Any = primary.loss or next(iter(known))
    if loss not in known:
        raise InputError(f"primary: loss: the task '{task.name}' has {' or '.join(known)}, found {loss}")
    if constraint.loss not in (None, known[loss]):
        raise InputError(f"constraint: loss: beside {loss} stands {known[loss]}, found {constraint.loss}")
    if primary.layer is not None and not 0 <= primary.layer < task.cfg.num_layers:
        raise InputError(f"primary: layer: the model has the layers 0 to {task.cfg.num_layers - 1}, found {primary.layer}")
    weight = WEIGHTS.get(loss, 1.0) if primary.weight is None else primary.weight
    beta = BETAS.get(loss) if primary.beta is None else primary.beta
    settled = PrimarySettings(loss, weight, beta, primary.c, primary.layer, primary.max_ce)
    factor = WEIGHTS.get(known[loss], 1.0) if constraint.weight is None else constraint.weight
    return Aim(task.kind, task.cfg, execution, settled, task.text_vocabulary), factor


@lru_cache(maxsize=64)
def losses_of(aim: Aim, factor: float) -> Objectives:
    """Both losses, each times its weight; the same functions for equal arguments."""
    pair = _unweighted(aim)
    return Objectives(_times(aim.primary.weight or 1.0, pair.primary), _times(factor, pair.constraint))


def _unweighted(aim: Aim) -> Objectives:
    logits, beta = partial(model_logits, cfg=aim.cfg, execution=aim.execution), aim.primary.beta or 1.0
    if aim.primary.loss == "npo":
        return objectives.negative_preference(logits, beta)
    if aim.primary.loss == "rmu":
        direction = control_vector(jax.random.key(0), aim.cfg.hidden_size)
        return objectives.rmu(partial(model_states, aim=aim), direction, aim.primary.c, alpha=1.0)
    if aim.primary.loss == "dpo":
        return objectives.safety(logits, beta)
    if aim.primary.loss == "unlikelihood":
        return objectives.hallucination(logits, weight=1.0, max_ce=aim.primary.max_ce)
    assert aim.text_vocabulary is not None
    return objectives.second_modality(logits, aim.text_vocabulary)


def model_logits(params: Params, tokens: Any, *, cfg: DecoderConfig, execution: Execution) -> jax.Array:
    """What is predicted after each token, (B, T, V); padding stands at the right, where nothing before it looks."""
    states = hidden_states(params, cfg, tokens, _lengths(tokens), execution)
    return head_logits(params, cfg, states, execution=execution)


def model_states(params: Params, tokens: Any, *, aim: Aim) -> jax.Array:
    """What leaves the layer that RMU moves, (B, T, D)."""
    site = f"resid_post.{aim.layer}"
    return watched(params, aim.cfg, tokens, _lengths(tokens), (site,), aim.execution)[1][site]


def with_reference(tables: Mapping[str, Table], aim: Aim, params: Params) -> dict[str, dict[str, np.ndarray]]:
    """The tables with what the model `params` says of their rows, where the losses ask for it."""
    found = {name: dict(table) for name, table in tables.items()}
    for table in found.values():
        for side in {"npo": ("forget",), "dpo": ("chosen", "rejected")}.get(aim.primary.loss or "", ()):
            if f"{side}_tokens" in table:
                asked = table[f"{side}_tokens"], table[f"{side}_labels"]
                table[f"{side}_reference"] = by_parts(partial(_said, params, cfg=aim.cfg, execution=aim.execution), *asked)
        if aim.primary.loss == "rmu" and "retain_tokens" in table:
            table["retain_hidden"] = by_parts(partial(_stood, params, aim=aim), table["retain_tokens"])
    return found


@partial(jax.jit, static_argnames=("cfg", "execution"))
def _said(params: Params, tokens: Any, labels: Any, *, cfg: DecoderConfig, execution: Execution) -> jax.Array:
    return log_probs(model_logits(params, tokens, cfg=cfg, execution=execution), labels)


@partial(jax.jit, static_argnames="aim")
def _stood(params: Params, tokens: Any, *, aim: Aim) -> jax.Array:
    return model_states(params, tokens, aim=aim)


def by_parts(run: Any, *arrays: np.ndarray) -> np.ndarray:
    """`run` on so many rows at a time, all parts of one shape."""
    rows = len(arrays[0])
    padded = [np.concatenate([array, np.repeat(array[:1], -rows % REFERENCE_ROWS, axis=0)]) for array in arrays]
    parts = [np.asarray(run(*(array[start:start + REFERENCE_ROWS] for array in padded)))
             for start in range(0, rows, REFERENCE_ROWS)]
    return np.concatenate(parts)[:rows]


def _lengths(tokens: Any) -> jax.Array:
    return jnp.full(tokens.shape[0], tokens.shape[1], jnp.int32)


def _times(weight: float, loss: Any) -> Any:
    return lambda params, batch: weight * loss(params, batch)
