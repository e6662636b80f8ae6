"""One optimiser step as one compiled function per batch shape."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jaxtrunc.core.mesh import replicated
from jaxtrunc.core.trees import Params
from jaxtrunc.train.batches import StepBatch
from jaxtrunc.train.scope import Flat, merge

LossSum = Callable[[Params, StepBatch], jax.Array]


class TrainState(NamedTuple):
    """What a step changes: `{path: float32 master}` of the trained leaves and the optimiser's state for them."""

    trained: Flat
    optimiser: optax.OptState


class Measured(NamedTuple):
    """Scalars of one step, still on the device: mean loss per target (nats), global norm of the raw gradient."""

    loss: Any
    gradient_norm: Any


Step = Callable[[TrainState, Flat, StepBatch], tuple[TrainState, Measured]]


def make_step(loss_sum: LossSum, optimiser: optax.GradientTransformation, accumulation: int, state: TrainState,
              mesh: Mesh | None) -> Step:
    """Compile-once-per-shape step; the state passed in is consumed (its memory is reused).

    Args:
      loss_sum: (params, batch) → summed loss over the targets of the batch.
      optimiser: applied to the mean gradient per target of the whole batch.
      accumulation: number of parts the batch's rows are cut into.
      state: gives the layout that every new state keeps.
      mesh: None on one device.
    """
    def step(state: TrainState, frozen: Flat, batch: StepBatch) -> tuple[TrainState, Measured]:
        loss, gradient = _loss_and_gradient(loss_sum, state.trained, frozen, batch, accumulation)
        updates, optimiser_state = optimiser.update(gradient, state.optimiser, state.trained)
        trained: Any = optax.apply_updates(state.trained, updates)
        return TrainState(trained, optimiser_state), Measured(loss, optax.tree.norm(gradient))

    layout = None if mesh is None else (jax.tree.map(lambda leaf: leaf.sharding, state), replicated(mesh))
    return jax.jit(step, donate_argnums=0, out_shardings=layout)


def _loss_and_gradient(loss_sum: LossSum, trained: Flat, frozen: Flat, batch: StepBatch,
                       accumulation: int) -> tuple[jax.Array, Flat]:
    """Mean loss per target and its gradient with respect to the trained leaves, over all rows of the batch."""
    targets = jnp.maximum(jnp.sum(batch.labels >= 0), 1)

    def of_part(part: StepBatch) -> tuple[jax.Array, Flat]:
        return jax.value_and_grad(lambda trained: loss_sum(merge(trained, frozen), part) / targets)(trained)

    if accumulation == 1:
        return of_part(batch)
    # Row i goes to part i mod accumulation, so that each device keeps its own rows; the prefix belongs to every part.
    rows = batch._replace(prefix=None)
    parts = jax.tree.map(lambda x: x.reshape(-1, accumulation, *x.shape[1:]).swapaxes(0, 1), rows)
    zero = jax.tree.map(jnp.zeros_like, (jnp.float32(0), trained))

    def add(total: tuple[jax.Array, Flat], part: StepBatch) -> tuple[tuple[jax.Array, Flat], None]:
        return jax.tree.map(jnp.add, total, of_part(part._replace(prefix=batch.prefix))), None

    return jax.lax.scan(add, zero, parts)[0]
