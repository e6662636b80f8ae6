"""What one accelerator does with the three expensive things, each against its floor, as a section for RESULTS.md.

    python benchmarks/accelerator.py             on a GPU or a TPU; minutes
    python benchmarks/accelerator.py --tiny      anywhere, to see that it runs; its figures mean nothing

Weights and data are random and made on the device; the program's own functions do the work, transfers included. Every call
is made once before it is timed, so that compilation does not count, and is waited for. A floor is the number of
floating-point operations over what a plain matrix product of the same precision reaches on the same device in the same
minute; nothing can be faster, and an eigensolver never comes near it.
"""

import argparse
import dataclasses
import datetime
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import svdvals

from jaxtrunc import spectral
from jaxtrunc.core.trees import flatten
from jaxtrunc.data import TrainBatch
from jaxtrunc.models import (
    DecoderConfig,
    Execution,
    RopeConfig,
    abstract_params,
    head_logits,
    hf_names,
    hidden_states,
    init_params,
    leaf_class,
)
from jaxtrunc.train.batches import step_batch
from jaxtrunc.train.loss import loss_sum
from jaxtrunc.train.optimiser import adamw
from jaxtrunc.train.scope import split
from jaxtrunc.train.settings import TrainSettings
from jaxtrunc.train.step import Program, TrainState, per_target

REPEATS = 3
DTYPES = ("float32", "bfloat16")  # of the operands of the model's products; float32 at highest precision
# Dense bf16 TFLOP/s that the makers state, to judge the measured peak by.
STATED = {
    "NVIDIA H200": (989, "NVIDIA H200 data sheet, half of the figure with sparsity"),
    "NVIDIA H100 80GB HBM3": (989, "NVIDIA H100 data sheet, SXM, half of the figure with sparsity"),
    "NVIDIA A100-SXM4-80GB": (312, "NVIDIA A100 data sheet"),
    "TPU v4": (275, "Google Cloud, TPU v4 system architecture"),
    "TPU v5 lite": (197, "Google Cloud, TPU v5e system architecture"),
    "TPU v5": (459, "Google Cloud, TPU v5p system architecture"),
    "TPU v6 lite": (918, "Google Cloud, TPU v6e system architecture"),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A model shape, and how many of its layers are decomposed; the rest is extrapolated."""

    name: str
    cfg: DecoderConfig
    layers: int


@dataclasses.dataclass(frozen=True)
class Scale:
    """What is measured: shapes to decompose, the model that is evaluated and trained, and the sizes of everything."""

    cases: tuple[Case, ...]
    model: DecoderConfig
    product: int
    prompts: tuple[int, int]
    batch: tuple[int, int]


def qwen(vocab: int, width: int, inner: int, layers: int, heads: int, shared: int, tied: bool) -> DecoderConfig:
    """A configuration of the Qwen2.5 family."""
    return DecoderConfig(family="qwen2", vocab_size=vocab, hidden_size=width, intermediate_size=inner, num_layers=layers,
                         num_heads=heads, num_kv_heads=shared, head_dim=width // heads, max_positions=32768, rms_norm_eps=1e-6,
                         rope=RopeConfig(theta=1e6), tie_embeddings=tied, qkv_bias=True)


SMALL = qwen(151936, 896, 4864, 24, 14, 2, True)
LARGE = qwen(152064, 3584, 18944, 28, 28, 4, False)
MINUTE = qwen(512, 64, 160, 1, 4, 2, True)
FULL = Scale((Case("Qwen2.5-0.5B", SMALL, 4), Case("Qwen2.5-7B", LARGE, 1)), SMALL, 8192, (64, 64), (16, 512))
TINY = Scale((Case("tiny", MINUTE, 1),), MINUTE, 128, (4, 16), (2, 16))


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table: seconds measured, the floor in seconds, and what else is to be said."""

    what: str
    seconds: float
    floor: float
    remark: str

    def __str__(self) -> str:
        return f"| {self.what} | {show(self.seconds)} | {show(self.floor)} | {self.seconds / self.floor:.1f} × | {self.remark} |"


def show(seconds: float) -> str:
    """Three digits, in seconds or milliseconds."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def timed(call: Callable[[], Any]) -> float:
    """Median seconds of a call whose result is waited for, after one that compiles."""
    jax.block_until_ready(call())
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak(size: int, dtype: str) -> float:
    """FLOP/s of an n × n product: operands of `dtype`, float32 ones at highest precision."""
    with jax.enable_x64(dtype == "float64"):
        x = jax.random.normal(jax.random.key(0), (size, size), jnp.float32).astype(dtype)
        product = jax.jit(partial(jnp.dot, precision="highest"))
        return 2 * size**3 / timed(lambda: product(x, x))


def pair(case: Case) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """Base and fine-tuned linear layers on the device: ΔW has a decaying signal of rank 32 and full-rank noise."""
    abstract = flatten(abstract_params(dataclasses.replace(case.cfg, num_layers=case.layers)))
    shapes = {path: leaf.shape for path, leaf in abstract.items()
              if leaf_class(case.cfg, path) == "linear" and path.endswith("kernel")}

    @partial(jax.jit, static_argnums=1)
    def make(key: jax.Array, shape: tuple[int, int, int]) -> tuple[jax.Array, jax.Array]:
        keys = jax.random.split(key, 4)
        base, noise = (jax.random.normal(k, shape) for k in keys[:2])
        left, right = jax.random.normal(keys[2], (*shape[:2], 32)), jax.random.normal(keys[3], (shape[0], 32, shape[2]))
        decay = jnp.arange(1, 33.0) ** -0.8
        return 0.02 * base, 0.02 * base + 1e-4 * ((left * decay) @ right + noise)

    keys = jax.random.split(jax.random.key(1), len(shapes))
    pairs = {path: make(key, shape) for key, (path, shape) in zip(keys, shapes.items(), strict=True)}
    return {path: base for path, (base, _) in pairs.items()}, {path: ft for path, (_, ft) in pairs.items()}


def flops_of(decomposition: spectral.Decomposition) -> float:
    """Gram matrix of the shorter side (symmetric), all its eigenvectors (9 r³), and ΔW·V."""
    sizes = [(max(svd.shape), min(svd.shape)) for svd in decomposition.matrices.values()]
    return float(sum(3 * long * short**2 + 9 * short**3 for long, short in sizes))


def decomposed(case: Case, speed: float) -> tuple[Row, spectral.Reconstructor]:
    """The device backend on every linear matrix of some layers; σ of one square matrix against LAPACK in float64."""
    base, ft = pair(case)
    names = {path: names for path, names in hf_names(case.cfg).items() if path in base}
    refs = spectral.references({path: leaf.shape for path, leaf in base.items()},
                               {path: given[:case.layers] for path, given in names.items()})
    found = spectral.decompose(base, ft, refs, backend="device")
    start = time.perf_counter()
    spectral.decompose(base, ft, refs, backend="device")
    seconds = time.perf_counter() - start
    svd = next(svd for svd in found.matrices.values() if "o_proj" in svd.name)
    update = np.asarray(ft[svd.ref.path][svd.ref.index]) - np.asarray(base[svd.ref.path][svd.ref.index])
    exact = svdvals(update.astype(np.float64))
    error = float(np.abs(svd.s - exact).max() / exact[0])
    share = case.cfg.num_layers / case.layers
    remark = f"{case.layers} of {case.cfg.num_layers} layers measured, {show(seconds)}; σ error {error:.0e} of σ₁ ({svd.name})"
    row = Row(f"decomposition, {case.name}, all layers", seconds * share, flops_of(found) * share / speed, remark)
    return row, spectral.Reconstructor(found, base, ft)


def rebuilt(case: Case, rebuild: spectral.Reconstructor) -> Row:
    """From one level to the next and onto the device; the floor is the copy alone."""
    ranks = [1 << power for power in range(1, 2 + REPEATS)]
    leaves = rebuild.weights(spectral.Level("top_k", k=1)).leaves
    times = []
    for rank in ranks:
        start = time.perf_counter()
        jax.block_until_ready(jax.device_put(rebuild.weights(spectral.Level("top_k", k=rank)).leaves, may_alias=False))
        times.append(time.perf_counter() - start)
    share = case.cfg.num_layers / case.layers
    floor = timed(lambda: jax.device_put(leaves, may_alias=False))
    return Row(f"rebuild of a level, {case.name}, all layers", statistics.median(times) * share, floor * share,
               f"{case.layers} of {case.cfg.num_layers} layers measured; floor: the copy to the device")


def evaluated(scale: Scale, params: Any, peaks: dict[str, float]) -> list[Row]:
    """The forward pass of a level: prompts of equal length, two label words at the last position."""
    rows, length = scale.prompts
    tokens = jax.random.randint(jax.random.key(2), (rows, length), 0, scale.model.vocab_size)
    lengths = jnp.full(rows, length, jnp.int32)

    @partial(jax.jit, static_argnums=1)
    def score(params: Any, execution: Execution) -> jax.Array:
        last = hidden_states(params, scale.model, tokens, lengths, execution)[:, -1]
        return head_logits(params, scale.model, last, None, execution)[:, :2]

    work = 2 * body_size(params) * rows * length + 2 * scale.model.vocab_size * scale.model.hidden_size * rows
    exact, found = score(params, Execution()), []
    for dtype in DTYPES:
        execution = Execution(compute_dtype=dtype)
        error = float(jnp.abs(score(params, execution) - exact).max() / jnp.abs(exact).max())
        seconds = timed(partial(score, params, execution))
        found.append(Row(f"evaluation, {rows} prompts of {length} tokens, {dtype} operands", seconds, work / peaks[dtype],
                         f"{rows / seconds:,.0f} prompts/s; largest difference of a logit from float32 {error:.0e}"))
    return found


def body_size(params: Any) -> int:
    """Entries of all matrices inside the layers."""
    return sum(leaf.size for path, leaf in flatten(params).items() if path.startswith("layers/") and path.endswith("kernel"))


def trained(scale: Scale, params: Any, dtype: str, speed: float) -> Row:
    """Optimiser steps with all linear layers trained and a loss at every position; the floor is 6 FLOP per weight and token."""
    rows, length = scale.batch
    tokens = np.random.default_rng(3).integers(0, scale.model.vocab_size, (rows, length + 1)).astype(np.int32)
    batch = step_batch(TrainBatch(tokens[:, :-1], np.full(rows, length, np.int32), tokens[:, 1:], list(range(rows))))
    masters, frozen = split(params, partial(leaf_class, scale.model), "linear")
    optimiser = adamw(TrainSettings(), 1000, dict.fromkeys(masters, True))
    masters = jax.tree.map(jnp.copy, masters)  # a step consumes them
    state = TrainState(masters, optimiser.init(masters))
    execution = Execution(compute_dtype=dtype, remat=True)
    loss = per_target(lambda params, batch: loss_sum(params, scale.model, batch, execution), 1)
    step = Program(loss, optimiser).compiled(state, None)
    losses = []

    def once() -> jax.Array:
        nonlocal state
        state, measured = step(state, frozen, batch)
        losses.append(measured.loss)
        return measured.loss

    seconds = timed(once)
    weights = body_size(params) + scale.model.vocab_size * scale.model.hidden_size
    first, last = float(losses[0]), float(losses[-1])
    return Row(f"fine-tuning step, {rows} × {length} tokens, {dtype} operands, activations recomputed", seconds,
               6 * weights * rows * length / speed,
               f"{rows * length / seconds:,.0f} tokens/s; loss {first:.3f} → {last:.3f} in {len(losses)} steps")


def section(scale: Scale) -> list[str]:
    """The lines of the section."""
    device = jax.devices()[0]
    native = "float32" if device.platform == "tpu" else "float64"
    peaks = {dtype: peak(scale.product, dtype) for dtype in (*DTYPES, native)}
    lines = [f"## {datetime.date.today()}, one {device.device_kind}, jax {jax.__version__}, numpy {np.__version__}", "",
             f"Measured peaks of a {scale.product} × {scale.product} product: "
             + ", ".join(f"{dtype} {speed / 1e12:.3g} TFLOP/s" for dtype, speed in peaks.items()) + stated(device.device_kind), "",
             "| what | measured | floor | ratio | |", "|---|---|---|---|---|"]
    rows = []
    for case in scale.cases:
        row, rebuild = decomposed(case, peaks[native])
        rows += [row, rebuilt(case, rebuild)]
    params = init_params(scale.model, jax.random.key(0))
    rows += evaluated(scale, params, peaks)
    rows += [trained(scale, params, dtype, peaks[dtype]) for dtype in DTYPES]
    return [*lines, *map(str, rows)]


def stated(kind: str) -> str:
    """What the maker says of this device, if it is in the list."""
    return f"; stated: {STATED[kind][0]} bf16 ({STATED[kind][1]})." if kind in STATED else "."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="small shapes, to see that everything runs")
    tiny = parser.parse_args().tiny
    if jax.default_backend() == "cpu" and not tiny:
        print("accelerator.py: error: JAX sees no accelerator here; --tiny shows that the script runs", file=sys.stderr)
        sys.exit(2)
    if tiny:
        print("Tiny shapes: this shows that the script runs; its figures mean nothing.\n")
    print("\n".join(section(TINY if tiny else FULL)))


if __name__ == "__main__":
    main()
