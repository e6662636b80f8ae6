"""Activations of a text at one site, as many as are asked for, and what an autoencoder's reconstruction costs the model."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrunc.core.mesh import batch_sharding
from jaxtrunc.data.pieces import PieceStream
from jaxtrunc.data.streams import TrainBatch
from jaxtrunc.models import DecoderConfig, Execution, edited
from jaxtrunc.recipes.sae.base import Base, States
from jaxtrunc.sae.metrics import ce_recovered
from jaxtrunc.sae.sae import SAE, reconstruct
from jaxtrunc.sae.sites import Site
from jaxtrunc.train.loss import head_loss


class Activations:
    """Chunks (rows, d) of a text's activations, special tokens left out; the position in the stream is all its state."""

    def __init__(self, base: Base, site: Site, stream: PieceStream):
        self._base, self._stream, self._states = base, stream, States(base, site)

    @property
    def state(self) -> int:
        """Batches given so far."""
        return self._stream.state

    def restore(self, state: int) -> None:
        """Continue as if `state` batches had been given."""
        self._stream.restore(state)

    def __next__(self) -> np.ndarray:
        batch = next(self._stream)
        return self._states(batch.tokens, batch.lengths)[self._base.counts(batch.tokens, batch.lengths)]


def cross_entropy_recovered(base: Base, sae: SAE, site: Site, batches: list[TrainBatch]) -> dict[str, float]:
    """CE per token (nats) of the model as it is, with x̂ instead of x, with zeros instead, and the share that x̂ keeps.

    Tokens that count for nothing in training (special ones, the first) keep their own states.
    """
    run = jax.jit(partial(_spliced, cfg=base.cfg, site=str(site), execution=base.execution), static_argnames="how")
    sae = base.everywhere(sae)
    totals, targets = dict.fromkeys(("original", "spliced", "zeroed"), 0.0), 0
    for batch in batches:
        arrays = [base.placed(a) for a in (batch.tokens, batch.lengths, batch.targets, base.counts(batch.tokens, batch.lengths))]
        for how in totals:
            totals[how] += float(run(base.params, sae, *arrays, how=how))
        targets += int((batch.targets >= 0).sum())
    means = {f"ce_{how}": total / max(targets, 1) for how, total in totals.items()}
    return means | {"ce_recovered": ce_recovered(*means.values())}


def _spliced(params, sae: SAE, tokens: jax.Array, lengths: jax.Array, targets: jax.Array, counts: jax.Array, *, cfg: DecoderConfig,
             site: str, execution: Execution, how: str) -> jax.Array:
    """Summed −ln p of the targets."""

    def edit(x: jax.Array) -> jax.Array:
        instead = reconstruct(sae, x) if how == "spliced" else jnp.zeros_like(x)
        return jnp.where(counts[..., None], instead, x)

    hidden = edited(params, cfg, tokens, lengths, {} if how == "original" else {site: edit}, execution)
    if execution.mesh is not None:
        hidden = jax.lax.with_sharding_constraint(hidden, batch_sharding(execution.mesh))
    return head_loss(params, cfg, hidden, targets, execution)
