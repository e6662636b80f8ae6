"""LoRA (Hu et al. 2021, arXiv 2106.09685): low-rank factors trained beside a frozen base model, by the same loop.

W = W_base + scale·A·B in the layout (in, out). The factors are applied in the forward pass: neither W nor a gradient of its size
is ever formed. Where the start is to add nothing although A and B are not zero, W = W_base + scale·(A·B − A₀·B₀) with constant
A₀ and B₀, `lora_a0` and `lora_b0` in the tree.
"""

import dataclasses
import functools
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxtrunc.core.mesh import place, replicated
from jaxtrunc.core.processes import fetch
from jaxtrunc.core.trees import Params, flatten, unflatten
from jaxtrunc.data import Stream, TrainBatch
from jaxtrunc.models import DecoderConfig, Execution, factor_path, split_factors
from jaxtrunc.train.batches import StepBatch, step_batch, without_prefix
from jaxtrunc.train.layout import laid_out
from jaxtrunc.train.loop import Job, Validate, train
from jaxtrunc.train.loss import loss_sum
from jaxtrunc.train.optimiser import adamw
from jaxtrunc.train.penalty import Penalty
from jaxtrunc.train.scope import Flat
from jaxtrunc.train.settings import TrainSettings
from jaxtrunc.train.step import Program, per_target
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
    """Which matrices have factors, and of which rank: at most the shorter side of the matrix, as truncation caps k.

    Attributes:
      scale: the update is scale·A·B; alpha / rank.
      dropout: share of what A reads that is set to zero in a training step.
      fixed: paths of kernels whose B is not trained.
    """

    targets: tuple[Target, ...]
    rank: int
    scale: float = SCALE
    dropout: float = 0.0
    fixed: tuple[str, ...] = ()

    def start(self, seed: int, mesh: Mesh | None) -> Flat:
        """`{path: (n, in, r) or (n, r, out)}` float32 as PEFT begins: A uniform within ±1/√in, B zero; whole on every device.

        The draw for a matrix depends on the seed, its name and the rank alone.
        """
        return _drawing(self, mesh)(jax.random.key(seed))

    def split(self, factors: Mapping[str, jax.Array]) -> tuple[Flat, Flat]:
        """The factors that are trained, and those that are not."""
        trained = {path for target in self.targets for path in _paths(target)[:1 if target.path in self.fixed else 2]}
        return ({path: leaf for path, leaf in factors.items() if path in trained},
                {path: leaf for path, leaf in factors.items() if path not in trained})

    def applied(self, params: Params, numbers: jax.Array | None = None) -> Params:
        """The tree that the model takes: every layer has factors (zero where it has none of its own), B times the scale.

        Args:
          numbers: (B,) uint32 of the rows of a batch, from which their dropout is drawn; None: nothing is dropped.
        """
        base, factors = split_factors(params)
        return unflatten(flatten(base) | self._effective(factors, numbers if self.dropout else None))

    @partial(jax.jit, static_argnums=0)
    def _effective(self, factors: Flat, numbers: jax.Array | None) -> Flat:
        found = {}
        for target in self.targets:
            pair = zip(_paths(target), _joined(target, factors), (1, self.scale), strict=True)
            found |= {path: _of_all_layers(target, factor * scale) for path, factor, scale in pair}
            if numbers is not None:
                found |= {factor_path(target.path, "lora_keys"): _row_keys(target, numbers),
                          factor_path(target.path, "lora_rate"): jnp.full(target.shape[0], self.dropout)}
        return found

    def by_name(self, params: Params) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Hugging Face name → (A `(r, in)`, B `(out, r)`) as PEFT keeps them, to be scaled; every process must call it.

        With a constant part these are [A; A₀] and [B, −B₀], of twice the rank.
        """
        flat, found = flatten(params), {}
        for target in self.targets:
            a, b = (fetch(factor) for factor in _joined(target, flat))
            found |= {name: (a[row].T, b[row].T) for row, name in enumerate(target.names)}
        return found


def train_lora(params: Params, cfg: DecoderConfig, adapter: Adapter, stream: Stream, settings: TrainSettings, directory: Path, *,
               execution: Execution, validate: Validate | None = None, resume: bool = False, mesh: Mesh | None = None,
               start: Mapping[str, np.ndarray] | None = None, penalty: Penalty | None = None) -> Params:
    """Train the factors and return the tree of base and factors; arguments, files and errors as in `finetune`.

    `settings.scope` has no meaning here; weight decay applies to both factors. `validate` is given what `applied` makes.

    Args:
      start: other first factors than `adapter.start`, in its layout, and constant parts if there are any.
      penalty: joins the loss. With it or with dropout a batch's common prefix is computed in every row.
    """
    first = adapter.start(settings.seed, mesh) if start is None else _placed(start, mesh)
    trained, constant = adapter.split(first)
    execution = dataclasses.replace(execution, remat=settings.remat, mesh=mesh)
    if penalty is not None:
        penalty = penalty.measured(params, cfg, stream, execution)
    loss = partial(_loss, adapter=adapter, cfg=cfg, execution=execution, penalty=penalty)
    arrange = partial(_arranged, seed=settings.seed, penalty=penalty, mesh=mesh) if penalty or adapter.dropout else None
    title = f"LoRA of rank {adapter.rank}, learning rate {settings.learning_rate:g}"
    optimiser = adamw(settings, settings.steps(stream.batches_per_epoch), dict.fromkeys(trained, True))
    program = Program(per_target(loss, settings.accumulation), optimiser)
    whole = validate and (lambda params: validate(adapter.applied(params)))
    job = Job(title, program.start(trained, mesh), laid_out(flatten(params), mesh) | constant, program, stream, settings, directory,
              Work(cfg, execution, kernels=2, head=2), whole, mesh, arrange)
    return train(job, resume=resume)


def _arranged(batch: TrainBatch, step: int, *, seed: int, penalty: Penalty | None, mesh: Mesh | None) -> StepBatch:
    """What a step takes that draws at random or looks at states; its numbers depend on the seed and the step alone."""
    batch = without_prefix(batch)
    numbers = np.random.SeedSequence([seed, step]).generate_state(len(batch.tokens), np.uint32)
    return step_batch(batch, mesh, numbers=numbers, weights=penalty and penalty.weights(batch))


def _placed(start: Mapping[str, np.ndarray], mesh: Mesh | None) -> Flat:
    leaves = {path: np.array(leaf, np.float32) for path, leaf in start.items()}
    return {path: jnp.asarray(leaf) if mesh is None else place(leaf, replicated(mesh)) for path, leaf in leaves.items()}


def _of_all_layers(target: Target, factors: jax.Array) -> jax.Array:
    """(n, …) of the layers that have factors → (L, …)."""
    layers = target.shape[0]
    if len(target.layers) == layers:
        return factors
    return jnp.zeros((layers, *factors.shape[1:])).at[np.array(target.layers)].set(factors)


def _joined(target: Target, factors: Mapping[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """A and B of the whole update, with the constant part as further columns and rows."""
    a, b = (factors[path] for path in _paths(target))
    constant = [factors.get(factor_path(target.path, side)) for side in ("lora_a0", "lora_b0")]
    if constant[0] is None or constant[1] is None:
        return a, b
    return jnp.concatenate([a, constant[0]], axis=2), jnp.concatenate([b, -constant[1]], axis=1)


def _loss(params: Params, batch: StepBatch, *, adapter: Adapter, cfg: DecoderConfig, execution: Execution,
          penalty: Penalty | None = None) -> jax.Array:
    applied = adapter.applied(params, batch.numbers)
    return loss_sum(applied, cfg, batch, execution) if penalty is None else penalty.loss_sum(applied, cfg, batch, execution)


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
    keys = jax.vmap(partial(jax.random.fold_in, key))(np.array([_number(name) for name in target.names], np.uint32))
    return jax.vmap(lambda key: jax.random.uniform(key, (target.shape[1], rank), minval=-bound, maxval=bound))(keys)


def _row_keys(target: Target, numbers: jax.Array) -> jax.Array:
    """The raw random key of every layer and row of a batch, (L, B, …)."""
    layers = jnp.arange(target.shape[0], dtype=jnp.uint32)
    keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(_number(target.path))))(layers)
    return jax.random.key_data(jax.vmap(lambda key: jax.vmap(partial(jax.random.fold_in, key))(numbers))(keys))


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
