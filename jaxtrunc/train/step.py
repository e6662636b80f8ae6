"""One optimiser step as one compiled function per batch shape."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jaxtrunc.core.mesh import replicated
from jaxtrunc.core.trees import Params
from jaxtrunc.train.batches import StepBatch
from jaxtrunc.train.layout import optimiser_state
from jaxtrunc.train.scope import Flat, merge

LossSum = Callable[[Params, StepBatch], jax.Array]


class TrainState(NamedTuple):
    """What a step changes: `{path: float32 master}` of the trained leaves and the optimiser's state for them."""

    trained: Flat
    optimiser: optax.OptState


class Found(NamedTuple):
    """Of one batch.

    Attributes:
      loss: what is minimised (nats).
      gradient: of the trained leaves.
      told: what else the optimiser is given, by keyword, such as the gradient of a constraint.
      parts: losses that the loss is made of, by name.
    """

    loss: Any
    gradient: Flat
    told: dict[str, Any]
    parts: dict[str, Any]


class Measured(NamedTuple):
    """Of one step, still on the device: loss, global norm of all raw gradients together, parts of the loss and what is watched."""

    loss: Any
    gradient_norm: Any
    watched: Mapping[str, Any]


Gradients = Callable[[Flat, Flat, Any], Found]  # (trained, frozen, batch)
Watch = Callable[[Found, optax.OptState], dict[str, Any]]
Step = Callable[[TrainState, Flat, Any], tuple[TrainState, Measured]]


@dataclass(frozen=True, eq=False)
class Program:
    """What every step of a run does; runs that share it share what is compiled.

    Attributes:
      gradients: (trained, frozen, batch) → loss and gradients of the whole batch.
      optimiser: applied to them.
      watch: (the same, the optimiser's new state) → further arrays to log.
    """

    gradients: Gradients
    optimiser: optax.GradientTransformation
    watch: Watch | None = None

    def start(self, trained: Flat, mesh: Mesh | None) -> TrainState:
        """The state before the first step; `trained` is laid out over `mesh` and consumed by it."""
        return TrainState(trained, optimiser_state(self.optimiser, trained, mesh))

    def compiled(self, state: TrainState, mesh: Mesh | None) -> Step:
        """A step, compiled once per shape; the state passed in is consumed (its memory is reused).

        Args:
          state: gives the layout that every new state keeps.
          mesh: None on one device.
        """
        if mesh is None:
            return self._on_one_device
        layout = jax.tree.map(lambda leaf: leaf.sharding, state), replicated(mesh)
        return jax.jit(self.step, donate_argnums=0, out_shardings=layout)

    @cached_property
    def _on_one_device(self) -> Step:
        return jax.jit(self.step, donate_argnums=0)

    def step(self, state: TrainState, frozen: Flat, batch: Any) -> tuple[TrainState, Measured]:
        """One step as it stands, not compiled."""
        found = self.gradients(state.trained, frozen, batch)
        optimiser = optax.with_extra_args_support(self.optimiser)
        updates, after = optimiser.update(found.gradient, state.optimiser, state.trained, **found.told)
        trained: Any = optax.apply_updates(state.trained, updates)
        watched = found.parts | (self.watch(found, after) if self.watch else {})
        norm = optax.tree.norm((found.gradient, found.told))
        return TrainState(trained, after), Measured(found.loss, norm, watched)


def per_target(loss_sum: LossSum, accumulation: int) -> Gradients:
    """The mean loss per target of a batch, and its gradient.

    Args:
      loss_sum: (params, batch) → summed loss over the targets of the batch.
      accumulation: number of parts the batch's rows are cut into; the result is that of the whole batch.
    """
    def gradients(trained: Flat, frozen: Flat, batch: StepBatch) -> Found:
        targets = jnp.maximum(jnp.sum(batch.labels >= 0), 1)

        def of_part(part: StepBatch) -> tuple[jax.Array, Flat]:
            # The prefix belongs to every part.
            whole = part._replace(prefix=batch.prefix)
            return jax.value_and_grad(lambda trained: loss_sum(merge(trained, frozen), whole) / targets)(trained)

        loss, gradient = summed(of_part, batch._replace(prefix=None), accumulation)
        return Found(loss, gradient, {}, {})

    return gradients


def summed(of_part: Callable[[Any], Any], batch: Any, accumulation: int) -> Any:
    """The sum of `of_part` over so many parts of a batch, one after the other; a tree of arrays.

    Row i goes to part i mod accumulation, so that each device keeps its own rows.
    """
    if accumulation == 1:
        return of_part(batch)
    parts = jax.tree.map(lambda x: x.reshape(-1, accumulation, *x.shape[1:]).swapaxes(0, 1), batch)
    shapes = jax.eval_shape(of_part, jax.tree.map(lambda x: x[0], parts))
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.scan(lambda total, part: (jax.tree.map(jnp.add, total, of_part(part)), None), zero, parts)[0]
