"""Cross-entropy at target positions, without ever holding vocabulary × sequence logits."""

import jax
import jax.numpy as jnp

from jaxtrunc.core.trees import Params
from jaxtrunc.models import DecoderConfig, Execution, head_logits, hidden_states, prefix_cache
from jaxtrunc.train.batches import StepBatch

CHUNK = 4096  # positions whose logits are held at once


def loss_sum(params: Params, cfg: DecoderConfig, batch: StepBatch, execution: Execution) -> jax.Array:
    """Sum over targets of −ln p(target); float32, nats. Divide by the number of targets for the mean.

    What all rows begin with is computed once; its gradient is the sum over the rows, as if each had computed it.
    """
    past = None if batch.prefix is None else prefix_cache(params, cfg, batch.prefix, execution)
    hidden = hidden_states(params, cfg, batch.tokens, batch.lengths, execution, past=past, at=batch.positions)  # (B, M, D)
    return head_loss(params, cfg, hidden, batch.labels, execution)


def head_loss(params: Params, cfg: DecoderConfig, hidden: jax.Array, labels: jax.Array,
              execution: Execution) -> jax.Array:
    """Sum of −ln p(label) over the places of `hidden` (B, M, D) with a label ≥ 0 in `labels` (B, M).

    Logits are held for about `CHUNK` places at a time, cut along M so that the rows of a sharded batch stay where they
    are. Beyond one chunk the logits are computed again in the backward pass.
    """

    def part(hidden: jax.Array, labels: jax.Array) -> jax.Array:
        logits = head_logits(params, cfg, hidden, execution=execution)  # (B, m, V) float32
        picked = jnp.take_along_axis(logits, jnp.maximum(labels, 0)[..., None], axis=-1)[..., 0]
        return jnp.sum(jnp.where(labels >= 0, jax.nn.logsumexp(logits, axis=-1) - picked, 0.0))

    rows, places = labels.shape
    pieces = min(places, -(-rows * places // CHUNK))
    if pieces == 1:
        return part(hidden, labels)
    short = -places % pieces
    hidden = jnp.pad(hidden, ((0, 0), (0, short), (0, 0))).reshape(rows, pieces, -1, hidden.shape[-1]).swapaxes(0, 1)
    labels = jnp.pad(labels, ((0, 0), (0, short)), constant_values=-1).reshape(rows, pieces, -1).swapaxes(0, 1)
    return jax.lax.map(lambda piece: jax.checkpoint(part)(*piece), (hidden, labels)).sum()
