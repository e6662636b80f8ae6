"""An update taught beside a fixed one, in the orthogonal complement of its column and row spaces, and no larger than allowed.

Projecting a freely trained update afterwards leaves nothing of its effect on this model: what writes the answer into the
residual stream lies in the spaces that the first update has taken. So the projection is part of the model that is trained, and
singular values above the limit are cut back as it goes: gradient descent with projection onto the set that is asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike
from known_updates import Sizes, Update, clipped, spaces

from jaxtrunc.core.trees import flatten, unflatten
from jaxtrunc.data import TrainStream
from jaxtrunc.models import DecoderConfig, Execution
from jaxtrunc.train.batches import step_batch
from jaxtrunc.train.loss import loss_sum

CLIP_EVERY = 10


@dataclass(frozen=True)
class Lesson:
    """How an update is taught.

    Attributes:
      least_share: each step sees W_base + α (first + update), α drawn from [least_share, 1]; below 1 the update works at a
        smaller scale too, so that plain interpolation does not switch it off.
    """

    steps: int
    rate: float = 1e-3
    least_share: float = 1.0


def taught_beside(first: Update, rank: int, limits: Sizes, params: Mapping, cfg: DecoderConfig, stream: TrainStream,
                  lesson: Lesson) -> Update:
    """What `stream` teaches W_base + `first` (of that rank), orthogonal to `first` on both sides.

    Args:
      limits: largest singular value of each matrix.
      params: of the base model.
    """
    taken, before = spaces(first, rank), flatten(params)
    rng = np.random.default_rng(0)

    def loss(update: Update, batch, share) -> jax.Array:
        whole = before | {path: before[path] + share * (first[path] + _clear_of(part, *taken[path]))
                          for path, part in update.items()}
        return loss_sum(unflatten(whole), cfg, batch, Execution()) / (batch.labels >= 0).sum()

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(update, state, batch, share):
        slope = jax.grad(loss)(update, batch, share)
        changes, state = optimiser.update(slope, state)
        return optax.apply_updates(update, changes), state

    optimiser = optax.adam(optax.cosine_decay_schedule(lesson.rate, lesson.steps))
    update = {path: jnp.zeros(stack.shape, jnp.float32) for path, stack in first.items()}
    state = optimiser.init(update)
    for number, batch in enumerate(islice(stream, lesson.steps), 1):
        update, state = step(update, state, step_batch(batch), rng.uniform(lesson.least_share, 1))
        if number % CLIP_EVERY == 0:
            update = jax.tree.map(jnp.asarray, clipped(jax.device_get(update), limits))
    return {path: np.asarray(_clear_of(part, *taken[path])) for path, part in update.items()}


def _clear_of(stack: ArrayLike, left: np.ndarray, right: np.ndarray) -> jax.Array:
    """(I − LLᵀ) stack (I − RRᵀ), matrix by matrix."""
    stack = jnp.asarray(stack) - left @ (left.swapaxes(1, 2) @ stack)
    return stack - (stack @ right) @ right.swapaxes(1, 2)
