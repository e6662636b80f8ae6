"""The whole optimiser: SIFT or Muon for hidden kernels, AdamW on the summed gradient for everything else."""

import re
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from jaxtrunc.core.errors import InputError
from jaxtrunc.steer.leaves import by_path, like, matrix_views
from jaxtrunc.steer.transform import scale_by_sift

NOT_HIDDEN = re.compile(r"embed|lm_head|wte|wpe|norm|bias|scale", re.IGNORECASE)
Scale = Literal["rms", "width"]


@dataclass(frozen=True)
class AdamConfig:
    """AdamW for what is not a hidden kernel.

    Attributes:
      learning_rate: None: that of the kernels.
      where: regular expression on paths of further leaves that go here.
    """

    learning_rate: optax.ScalarOrSchedule | None = None
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    where: str | None = None

    def optimiser(self, learning_rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
        """AdamW, at `learning_rate` if it has none of its own."""
        rate = learning_rate if self.learning_rate is None else self.learning_rate
        return optax.adamw(rate, self.b1, self.b2, self.eps, weight_decay=self.weight_decay)


def sift(learning_rate: optax.ScalarOrSchedule, rank: int | float = 256, *, scale: Scale = "rms", rms: float = 0.2,
         weight_decay: float = 0.0, adam: AdamConfig | None = None, **options: Any) -> optax.GradientTransformationExtraArgs:
    """p ← p − η(scale·O + weight_decay·p) for hidden kernels with O of `scale_by_sift`, AdamW on g_f + g_g for all others.

        updates, state = tx.update(g_f, state, params, constraint_grads=g_g)

    The constraint's weight is in `g_g` already. Where SIFT fires it has no effect: the update does not depend on the scale of
    either gradient.

    Args:
      learning_rate: η, a number or a schedule.
      rank, options: fields of `SiftOptions`.
      scale: "rms" `rms`·√max(m, n), "width" √max(1, n/m), for fan-in m and fan-out n.
      adam: AdamW's settings and which further leaves it takes.

    Raises:
      InputError: an option outside its range; `where` matches nothing.
    """
    adam, dimensions = adam or AdamConfig(), options.get("dimension_numbers")
    kernels = optax.chain(scale_by_sift(rank=rank, **options), scale_by_shape(scale, rms, dimensions),
                          optax.add_decayed_weights(weight_decay), optax.scale_by_learning_rate(learning_rate))
    return _routed(kernels, optax.chain(sum_constraint(), adam.optimiser(learning_rate)), adam, dimensions)


def muon(learning_rate: optax.ScalarOrSchedule, *, beta: float = 0.95, nesterov: bool = True, rms: float = 0.2,
         weight_decay: float = 0.0, adam: AdamConfig | None = None) -> optax.GradientTransformationExtraArgs:
    """Optax's Muon for the kernels that `sift` would take and AdamW for the rest, on one gradient: for `combined`."""
    adam = adam or AdamConfig()
    kernels = optax.chain(optax.contrib.scale_by_muon(beta=beta, nesterov=nesterov, weight_dimension_numbers=_last_axes),
                          scale_by_shape("rms", rms), optax.add_decayed_weights(weight_decay),
                          optax.scale_by_learning_rate(learning_rate))
    return _routed(kernels, adam.optimiser(learning_rate), adam, None)


def _last_axes(params: Any) -> Any:
    return jax.tree.map(lambda _: optax.contrib.MuonDimensionNumbers(-2, -1), params)


def _routed(kernels: optax.GradientTransformation, rest: optax.GradientTransformation, adam: AdamConfig,
            dimensions: Any) -> optax.GradientTransformationExtraArgs:
    """Each optimiser sees its leaves of the gradient, and of the second one if there is one."""
    def labels(params: Any) -> Any:
        return like(params, {path: "kernel" if hidden else "adam" for path, hidden in routing(params, adam, dimensions).items()})

    return optax.partition({"kernel": kernels, "adam": rest}, labels, mask_compatible_extra_args=True)


def routing(params: Any, adam: AdamConfig, dimensions: Any = None) -> dict[str, bool]:
    """Path → whether the leaf is a hidden kernel.

    That is every leaf of two or more axes (those named in a tree of `dimensions` alone, if one is given) whose path names no
    embedding, head, norm or bias.

    Raises:
      InputError: no leaf is one.
    """
    if callable(dimensions):
        dimensions = dimensions(params)
    named = None if dimensions is None or isinstance(dimensions, optax.contrib.MuonDimensionNumbers) else {
        path for path, leaf in by_path(dimensions, lambda x: x is None or isinstance(x, optax.contrib.MuonDimensionNumbers)).items()
        if leaf is not None}
    found = {path: leaf.ndim >= 2 and not NOT_HIDDEN.search(path) and not (adam.where and re.search(adam.where, path))
             and (named is None or path in named) for path, leaf in by_path(params).items()}
    if found and not any(found.values()):
        raise InputError(f"no hidden kernel among the {len(found)} trained leaves, such as '{next(iter(found))}'")
    return found


def scale_by_shape(scale: Scale, rms: float = 0.2, dimensions: Any = None) -> optax.GradientTransformation:
    """Multiply each direction by what its shape asks for; see `sift`."""
    if scale not in ("rms", "width"):
        raise InputError(f"sift: scale: expected 'rms' or 'width', found '{scale}'")

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        leaves = by_path(updates)
        factors = {path: rms * max(view.m, view.n) ** 0.5 if scale == "rms" else max(1, view.n / view.m) ** 0.5
                   for path, view in matrix_views(updates, dimensions).items()}
        return like(updates, {path: leaf * factors[path] for path, leaf in leaves.items()}), state

    return optax.GradientTransformation(optax.init_empty_state, update)


def sum_constraint() -> optax.GradientTransformationExtraArgs:
    """g_f + g_g, for optimisers that take one gradient."""
    def update(updates: Any, state: Any, params: Any = None, *, constraint_grads: Any = None, **_: Any) -> tuple[Any, Any]:
        del params
        if constraint_grads is None:
            raise ValueError("both gradients are needed: update(g_f, state, params, constraint_grads=g_g)")
        return jax.tree.map(jnp.add, updates, constraint_grads), state

    return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)


def sift_metrics(state: Any) -> Any:
    """The `Metrics` of the last step within the state of `sift` or of any chain around it."""
    return optax.tree.get(state, "metrics")
