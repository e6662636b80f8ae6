"""Scores of a model on a split: one compiled function per batch shape, with the weights as arguments.

Nothing recompiles between levels of a sweep, and nothing of the size vocabulary × sequence is formed: hidden states are
gathered first, at the one position (or the few positions of a label string) that is read. What all prompts begin with is
computed once per model.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from jaxtrunc.core.mesh import batch_divisor, batch_sharding, place, replicated, rows_apart
from jaxtrunc.core.trees import Params
from jaxtrunc.data import PackedBatch
from jaxtrunc.evals.evalset import EvalSet
from jaxtrunc.models import DecoderConfig, Execution, Operands, head_logits, hidden_states, prefix_cache

Packed = tuple[Any, ...]  # tokens, segments, ends and slots of a batch, placed
Weights = tuple[Params, Params]  # all, and what the head reads


@dataclass(frozen=True)
class Scores:
    """What a model says about a split.

    Attributes:
      scores: float32, one column per evaluated class: a logit at the last prompt position, or a label string's log-probability
        (pooled over the trained classes in it: evals/pooling.py).
      mass: float32, the probability that the unrestricted model gives to the label words together.
    """

    scores: Float[np.ndarray, "n C"]
    mass: Float[np.ndarray, " n"]

    @property
    def predictions(self) -> Int[np.ndarray, " n"]:
        """The class of highest score."""
        return self.scores.argmax(axis=1)


class Scorer:
    """Scores parameters of one architecture; `compilations` counts how often a shape was traced.

    Args:
      mesh: a compute mesh to lay batches over; parameters stay as they are given. Every process must score the same, and
        gets all scores.
    """

    def __init__(self, cfg: DecoderConfig, execution: Execution, mesh: Mesh | None = None):
        self._cfg, self._execution, self._mesh = cfg, dataclasses.replace(execution, mesh=mesh), mesh
        self.compilations = 0
        self._operands = Operands(jnp.dtype(execution.compute_dtype))
        everywhere = None if mesh is None else replicated(mesh)
        self._keep = jax.jit(self._prefix)
        self._last = jax.jit(self._last_position, out_shardings=everywhere)
        self._labels = jax.jit(self._label_positions, out_shardings=everywhere)

    def score(self, params: Params, eval_set: EvalSet) -> Scores:
        """Scores of every example, in the order of the split, whatever the batches."""
        weights = self._weights(params)
        found = self._verbalizer(weights, eval_set) if eval_set.scoring == "verbalizer" else self._likelihood(weights, eval_set)
        return found if eval_set.pooling is None else Scores(eval_set.pooling.apply(found.scores), found.mass)

    def _weights(self, params: Params) -> Weights:
        """The parameters as the programs take them, and the head's alone; on the CPU in the dtype in which products read them."""
        name = "embed" if self._cfg.tie_embeddings else "lm_head"
        head = {name: params[name]}
        if self._mesh is not None or self._execution.scans:
            return params, head
        return self._operands.layers_apart(params), jax.tree.map(self._operands.cast, head)

    def _verbalizer(self, weights: Weights, eval_set: EvalSet) -> Scores:
        label_ids = np.array([ids[0] for ids in eval_set.continuations], np.int32)
        past = self._past(weights, eval_set)
        logits, mass = zip(*[self._last(weights, past, self._placed(batch), label_ids) for batch in eval_set.batches], strict=True)
        return Scores(_scatter(eval_set, logits, len(eval_set)), _scatter(eval_set, mass, len(eval_set)))

    def _likelihood(self, weights: Weights, eval_set: EvalSet) -> Scores:
        classes = len(eval_set.continuations)
        past = self._past(weights, eval_set)
        outputs = [self._labels(weights, past, self._placed(batch), *self._place(targets))
                   for batch, targets in _with_targets(eval_set)]
        total = _scatter(eval_set, outputs, len(eval_set) * classes).reshape(-1, classes)
        sizes = np.array([len(ids) for ids in eval_set.continuations], np.float32)
        scores = total / sizes if eval_set.scoring == "likelihood_per_token" else total
        return Scores(scores, np.exp(total).sum(axis=1))

    def _past(self, weights: Weights, eval_set: EvalSet) -> Any:
        """Keys and values of what all prompts begin with; None where they begin with nothing in common."""
        return self._keep(weights[0], np.array(eval_set.prefix, np.int32)) if eval_set.prefix else None

    def _prefix(self, params: Params, tokens: Int[Array, " P"]) -> Any:
        self.compilations += 1
        return prefix_cache(params, self._cfg, tokens, self._execution)

    def _last_position(
        self, weights: Weights, past: Any, packed: Packed, label_ids: Int[Array, " C"]
    ) -> tuple[Float[Array, "N C"], Float[Array, " N"]]:
        """Logits of the label tokens at the last prompt position, and their share of the probability there."""
        self.compilations += 1
        last = self._before(weights[0], past, packed, jnp.zeros(1, jnp.int32))
        logits = head_logits(weights[1], self._cfg, last[:, 0], None, self._execution)  # (N, V)
        restricted = logits[:, label_ids]
        share = jax.nn.logsumexp(restricted, axis=1) - jax.nn.logsumexp(logits, axis=1)
        return restricted, jnp.exp(share)

    def _label_positions(self, weights: Weights, past: Any, packed: Packed, targets: Int[Array, "N M"]) -> Float[Array, " N"]:
        """Log-probability of the label string that ends each sequence; `targets` holds its tokens, −1 before them."""
        self.compilations += 1
        chosen = self._before(weights[0], past, packed, jnp.arange(-targets.shape[1], 0))  # the position that predicts each target
        logits = head_logits(weights[1], self._cfg, chosen, None, self._execution)
        picked = jnp.take_along_axis(logits, jnp.maximum(targets, 0)[:, :, None], axis=2)[:, :, 0]
        gains = picked - jax.nn.logsumexp(logits, axis=2)
        return jnp.where(targets >= 0, gains, 0.0).sum(axis=1)

    def _before(self, params: Params, past: Any, packed: Packed, steps: Int[Array, " M"]) -> Float[Array, "N M D"]:
        """Hidden states of each sequence so many steps from its end."""
        tokens, segments, ends, slots = packed
        at = jnp.maximum(ends[:, :, None] + steps, 0)
        found = hidden_states(params, self._cfg, tokens, jnp.sum(segments >= 0, axis=1), self._execution, segments=segments,
                              past=past, at=at.reshape(len(tokens), -1))
        return rows_apart(found.reshape(-1, len(steps), found.shape[-1])[slots], self._mesh)

    def _placed(self, batch: PackedBatch) -> Packed:
        return self._place(batch.tokens, batch.segments, batch.ends, batch.slots)

    def _place(self, *arrays: np.ndarray) -> tuple[Any, ...]:
        """Rows over the data axes of the mesh, filled up with copies of the last row where they do not divide."""
        if self._mesh is None:
            return arrays
        divisor = batch_divisor(self._mesh)
        filled = [np.concatenate([array, np.repeat(array[-1:], -len(array) % divisor, axis=0)]) for array in arrays]
        return tuple(place(array, batch_sharding(self._mesh)) for array in filled)


def _with_targets(eval_set: EvalSet) -> Iterator[tuple[PackedBatch, Int[np.ndarray, "N M"]]]:
    """Each batch with the label tokens of its sequences, right-aligned, −1 elsewhere and for fillers."""
    width = max(len(ids) for ids in eval_set.continuations)
    table = np.array([(-1,) * (width - len(ids)) + ids for ids in eval_set.continuations], np.int32)
    for batch in eval_set.batches:
        targets = table[batch.rows % len(table)]
        yield batch, np.where(batch.rows[:, None] >= 0, targets, -1)


def _scatter(eval_set: EvalSet, outputs: Sequence[jax.Array], total: int) -> np.ndarray:
    """Sequences of all batches in the order of the list that was packed; fillers are dropped."""
    found = jax.device_get(outputs)
    result = np.empty((total, *found[0].shape[1:]), np.float32)
    for batch, values in zip(eval_set.batches, found, strict=True):
        real = batch.rows >= 0
        result[batch.rows[real]] = values[: len(batch.rows)][real]
    return result
