"""Cross-entropy at target positions, without ever holding vocabulary × sequence logits."""

import jax
import jax.numpy as jnp

from jaxtrunc.core.trees import Params
from jaxtrunc.models import DecoderConfig, Execution, head_logits, hidden_states
from jaxtrunc.train.batches import StepBatch

CHUNK = 4096  # positions whose logits are held at once


def loss_sum(params: Params, cfg: DecoderConfig, batch: StepBatch, execution: Execution) -> jax.Array:
    """Sum over targets of −ln p(target); float32, nats. Divide by the number of targets for the mean."""
    hidden = hidden_states(params, cfg, batch.tokens, batch.lengths, execution)  # (B, T, D)
    if batch.positions is not None:
        hidden = jnp.take_along_axis(hidden, batch.positions[..., None], axis=1)  # (B, M, D)
    return head_loss(params, cfg, hidden.reshape(-1, hidden.shape[-1]), batch.labels.reshape(-1))


def head_loss(params: Params, cfg: DecoderConfig, hidden: jax.Array, labels: jax.Array) -> jax.Array:
    """Sum of −ln p(label) over rows of `hidden` (N, D) with a label ≥ 0 in `labels` (N,).

    Logits are held for `CHUNK` rows at a time. Beyond one chunk the logits are computed again in the backward pass.
    """

    def part(hidden: jax.Array, labels: jax.Array) -> jax.Array:
        logits = head_logits(params, cfg, hidden)  # (n, V) float32
        picked = jnp.take_along_axis(logits, jnp.maximum(labels, 0)[:, None], axis=-1)[:, 0]
        return jnp.sum(jnp.where(labels >= 0, jax.nn.logsumexp(logits, axis=-1) - picked, 0.0))

    pieces = -(-labels.shape[0] // CHUNK)
    if pieces == 1:
        return part(hidden, labels)
    short = pieces * CHUNK - labels.shape[0]
    hidden = jnp.pad(hidden, ((0, short), (0, 0))).reshape(pieces, CHUNK, -1)
    labels = jnp.pad(labels, (0, short), constant_values=-1).reshape(pieces, CHUNK)
    return jax.lax.map(lambda piece: jax.checkpoint(part)(*piece), (hidden, labels)).sum()
