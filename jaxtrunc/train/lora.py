"""LoRA (Hu et al. 2021, arXiv 2106.09685): low-rank factors trained beside a frozen base model, by the same loop.

W = W_base + scale·A·B in the layout (in, out). The factors are applied in the forward pass: neither W nor a gradient of its size
is ever formed.
"""

import dataclasses
import functools
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxtrunc.core.mesh import replicated
from jaxtrunc.core.processes import fetch
from jaxtrunc.core.trees import Params, flatten, unflatten
from jaxtrunc.data import Stream
from jaxtrunc.models import DecoderConfig, Execution, factor_path, split_factors
from jaxtrunc.train.layout import laid_out
from jaxtrunc.train.loop import Job, Validate, train
from jaxtrunc.train.loss import loss_sum
from jaxtrunc.train.scope import Flat
from jaxtrunc.train.settings import TrainSettings
from jaxtrunc.train.utilisation import Work

SCALE = 2  # alpha / rank, with alpha = 2·rank


@dataclass(frozen=True)
class Target:
    """The matrices of one stacked kernel `(L, in, out)` that get factors.

    Attributes:
      path: of the kernel.
      layers: their indices in the stack, ascending.
      names: their Hugging Face names, in the same order.
    """

    path: str
    shape: tuple[int, int, int]
    layers: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Adapter:
    """Which matrices have factors, and of which rank: at most the shorter side of the matrix, as truncation caps k."""

    targets: tuple[Target, ...]
    rank: int

    def start(self, seed: int, mesh: Mesh | None) -> Flat:
        """`{path: (n, in, r) or (n, r, out)}` float32 as PEFT begins: A uniform within ±1/√in, B zero; whole on every device.

        The draw for a matrix depends on the seed, its name and the rank alone.
        """
        return _drawing(self, mesh)(jax.random.key(seed))

    def applied(self, params: Params) -> Params:
        """The tree that the model takes: every layer has factors (zero where it has none of its own), B times the scale."""
        base, factors = split_factors(params)
        return unflatten(flatten(base) | self._effective(factors))

    @partial(jax.jit, static_argnums=0)
    def _effective(self, factors: Flat) -> Flat:
        return {path: _of_all_layers(target, factors[path] * scale)
                for target in self.targets for path, scale in zip(_paths(target), (1, SCALE), strict=True)}

    def by_name(self, params: Params) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Hugging Face name → (A `(r, in)`, B `(out, r)`) as PEFT keeps them, to be scaled; every process must call it."""
        flat, found = flatten(params), {}
        for target in self.targets:
            a, b = (fetch(flat[path]) for path in _paths(target))
            found |= {name: (a[row].T, b[row].T) for row, name in enumerate(target.names)}
        return found


def train_lora(params: Params, cfg: DecoderConfig, adapter: Adapter, stream: Stream, settings: TrainSettings, directory: Path, *,
               execution: Execution, validate: Validate | None = None, resume: bool = False, mesh: Mesh | None = None) -> Params:
    """Train the factors and return the tree of base and factors; arguments, files and errors as in `finetune`.

    `settings.scope` has no meaning here; weight decay applies to both factors. `validate` is given what `applied` makes.
    """
    trained = adapter.start(settings.seed, mesh)
    execution = dataclasses.replace(execution, remat=settings.remat, mesh=mesh)
    loss = partial(_loss, adapter=adapter, cfg=cfg, execution=execution)
    title = f"LoRA of rank {adapter.rank}, learning rate {settings.learning_rate:g}"
    job = Job(title, trained, laid_out(flatten(params), mesh), dict.fromkeys(trained, True), loss, stream, settings, directory,
              Work(cfg, execution, kernels=2, head=2), validate and (lambda params: validate(adapter.applied(params))), mesh)
    return train(job, resume=resume)


def _of_all_layers(target: Target, factors: jax.Array) -> jax.Array:
    """(n, …) of the layers that have factors → (L, …)."""
    layers = target.shape[0]
    if len(target.layers) == layers:
        return factors
    return jnp.zeros((layers, *factors.shape[1:])).at[np.array(target.layers)].set(factors)


def _loss(params: Params, batch, *, adapter: Adapter, cfg: DecoderConfig, execution: Execution) -> jax.Array:
    return loss_sum(adapter.applied(params), cfg, batch, execution)


@functools.cache
def _drawing(adapter: Adapter, mesh: Mesh | None) -> Callable[[jax.Array], Flat]:
    """Key → the first factors, compiled once for all learning rates."""

    def draw(key: jax.Array) -> Flat:
        leaves = {}
        for target in adapter.targets:
            (first, second), rank = _paths(target), min(adapter.rank, *target.shape[1:])
            leaves[first] = _uniform(key, target, rank)
            leaves[second] = jnp.zeros((len(target.layers), rank, target.shape[2]))
        return leaves

    return jax.jit(draw, out_shardings=None if mesh is None else replicated(mesh))


def _paths(target: Target) -> tuple[str, str]:
    return factor_path(target.path, "lora_a"), factor_path(target.path, "lora_b")


def _uniform(key: jax.Array, target: Target, rank: int) -> jax.Array:
    """A of all layers of a target, (n, in, r)."""
    bound = 1 / math.sqrt(target.shape[1])
    numbers = np.array([int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) for name in target.names], np.uint32)
    keys = jax.vmap(partial(jax.random.fold_in, key))(numbers)
    return jax.vmap(lambda key: jax.random.uniform(key, (target.shape[1], rank), minval=-bound, maxval=bound))(keys)
