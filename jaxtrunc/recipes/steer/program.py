"""What every step of a steering run does: two gradients, one of the optimisers, and what is watched of it."""

import dataclasses
from functools import lru_cache, partial
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from jaxtrunc.recipes.steer.settings import Method, SiftSettings, SteerTraining
from jaxtrunc.recipes.steer.watch import watch_gradients, watch_momenta
from jaxtrunc.steer import AdamConfig, Objectives, combined, find_combiner, joint_clip, loss_pair, muon, sift
from jaxtrunc.steer.sift import routing
from jaxtrunc.train.optimiser import learning_rate
from jaxtrunc.train.scope import Flat, merge
from jaxtrunc.train.step import Found, Gradients, Program, TrainState, summed

PEAK = "step_size"


@lru_cache(maxsize=32)
def program(losses: Objectives, method: Method, combine: str, chosen: SiftSettings, train: SteerTraining, steps: int,
            mesh: Mesh | None = None) -> Program:
    """The program of a run; the same for equal arguments, so that runs share what is compiled.

    Its learning rates are shares of the peak, which `with_peak` puts into the state; `train` comes from `shared`.
    """
    optimiser = _sift(chosen, train, steps, mesh) if method == "sift" else combined(
        find_combiner(combine), _muon(chosen, train, steps) if method == "muon" else _adamw(train, steps))
    whole = optax.chain(optimiser, optax.inject_hyperparams(optax.scale)(step_size=1.0))
    watch = watch_momenta if method == "sift" else watch_gradients
    return Program(pair_gradients(losses, train.accumulation), whole if train.clip is None else clipped(whole, train.clip), watch)


def shared(train: SteerTraining) -> SteerTraining:
    """The settings without what differs between runs that share a program; the rate of AdamW's leaves as a share of the peak."""
    relative = None if train.adam_learning_rate is None else train.adam_learning_rate / train.learning_rate
    return dataclasses.replace(train, learning_rate=1.0, adam_learning_rate=relative, seed=0, checkpoint_every=1)


def with_peak(state: TrainState, peak: float) -> TrainState:
    """The state of a run whose learning rates are shares of this one."""
    old = optax.tree.get(state.optimiser, PEAK)
    value = jax.device_put(np.asarray(peak, old.dtype), old.sharding)
    return state._replace(optimiser=optax.tree.set(state.optimiser, **{PEAK: value}))


def pair_gradients(losses: Objectives, accumulation: int) -> Gradients:
    """Both losses and gradients of a batch: means over its parts, which have equally many rows."""
    both = loss_pair(Objectives(partial(_on_leaves, losses.primary), partial(_on_leaves, losses.constraint)))

    def gradients(trained: Flat, frozen: Flat, batch: Any) -> Found:
        def of_part(part: Any) -> Found:
            found = both(trained, {"rows": part, "frozen": frozen})
            mean = jax.tree.map(lambda x: x / accumulation, found)
            parts = {"primary": mean.primary, "constraint": mean.constraint}
            return Found(mean.primary + mean.constraint, mean.gradients, {"constraint_grads": mean.constraint_grads}, parts)

        return summed(of_part, batch, accumulation)

    return gradients


def clipped(optimiser: optax.GradientTransformation, most: float) -> optax.GradientTransformationExtraArgs:
    """Both gradients scaled by one factor first, so that their joint norm is at most `most`."""
    inner = optax.with_extra_args_support(optimiser)

    def update(updates: Any, state: Any, params: Any = None, *, constraint_grads: Any = None, **extra: Any) -> tuple[Any, Any]:
        updates, constraint_grads = joint_clip(updates, constraint_grads, most)
        return inner.update(updates, state, params, constraint_grads=constraint_grads, **extra)

    return optax.GradientTransformationExtraArgs(inner.init, update)


@dataclasses.dataclass(frozen=True)
class Named:
    """A `where`: the matrices of these names, `path` or `path[layer]`."""

    names: tuple[str, ...]

    def __call__(self, path: str, leaf: Any) -> np.ndarray:
        """A mask over the first axis of the leaf."""
        count = leaf.shape[0] if len(leaf.shape) > 2 else 1
        mask = np.array([path in self.names or f"{path}[{index}]" in self.names for index in range(count)])
        return mask if len(leaf.shape) > 2 else mask[0]


def _sift(chosen: SiftSettings, train: SteerTraining, steps: int, mesh: Mesh | None) -> optax.GradientTransformationExtraArgs:
    options = {field.name: getattr(chosen, field.name) for field in dataclasses.fields(chosen)}
    if isinstance(chosen.where, tuple):
        options["where"] = Named(chosen.where)
    return sift(learning_rate(train, steps), **options, mesh=mesh, weight_decay=train.weight_decay, adam=_adam(train, steps))


def _muon(chosen: SiftSettings, train: SteerTraining, steps: int) -> optax.GradientTransformation:
    return muon(learning_rate(train, steps), rms=chosen.rms, weight_decay=train.weight_decay, adam=_adam(train, steps))


def _adam(train: SteerTraining, steps: int) -> AdamConfig:
    """Of the leaves that are no hidden kernels."""
    rate = train if train.adam_learning_rate is None else dataclasses.replace(train, learning_rate=train.adam_learning_rate)
    return AdamConfig(learning_rate(rate, steps), train.beta1, train.beta2, train.epsilon)


def _adamw(train: SteerTraining, steps: int) -> optax.GradientTransformation:
    """Of all leaves; weight decay is for hidden kernels, as with the other two."""
    return optax.adamw(learning_rate(train, steps), train.beta1, train.beta2, train.epsilon, weight_decay=train.weight_decay,
                       mask=lambda leaves: routing(leaves, AdamConfig()))


def _on_leaves(loss: Any, trained: Flat, batch: Any) -> jax.Array:
    return loss(merge(trained, batch["frozen"]), batch["rows"])
