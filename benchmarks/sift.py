"""Step time of SIFT against Optax's Muon, on kernels of a 0.5B model: what the second momentum and the shared subspace cost.

    python benchmarks/sift.py           five layers' attention and MLP kernels; minutes
    python benchmarks/sift.py --tiny    to see that it runs

All take the same two gradients and are compiled; the backward passes, which are the larger part of a training step and twice
Muon's for every method with a constraint, are not in it. In one of five layers the two gradients conflict.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from suite.harness import Way, compare, main
from suite.report import Report

from jaxtrunc.steer import COMBINERS, combined, muon, sift, sift_metrics

LAYERS, RATE = 5, 1e-3
MUON = "Optax's Muon on the sum"
OPEN, CLOSED, ALWAYS = "SIFT, power iteration, one layer of five fires", "SIFT, nothing fires", "SIFT, power iteration, all fire"
FULL = "SIFT, full decomposition, one layer of five fires"


def measure(tiny: bool) -> Report:
    """One optimiser step, each way."""
    width, inner, rank = (32, 96, 4) if tiny else (896, 4864, 256)
    f, g = gradients({"attn": (LAYERS, width, width), "mlp": (LAYERS, width, inner)})
    ways = [Step(OPEN, sift(RATE, rank, subspace="iterate", diagnostics=False), f, g),
            Step(MUON, combined(COMBINERS["weighted_sum"], muon(RATE)), f, g),
            Step(CLOSED, sift(RATE, rank, threshold=-2.0, diagnostics=False), f, g),
            Step(ALWAYS, sift(RATE, rank, threshold=None, subspace="iterate", diagnostics=False), f, g),
            Step(FULL, sift(RATE, rank, diagnostics=False), f, g)]
    comparison = compare(f"One step over {LAYERS} layers, {width} × {width} and {width} × {inner} each, K = {rank}",
                         [Way(way.name, way, Step.facts) for way in ways], 1 if tiny else 3)
    ratio = comparison.ratio(MUON)
    report = Report("How much longer does a step of SIFT take than one of Muon?", comparisons=[comparison])
    report.measured = {"sift_step": None if ratio is None else 1 / ratio}
    report.notes = ["The first call has its bases fresh and takes five rounds of power iteration, later ones two."]
    return report


def gradients(shapes: dict[str, tuple[int, ...]]) -> tuple[Any, Any]:
    """Of falling spectrum; they conflict in the first layer and agree in the others."""
    rng = np.random.default_rng(0)

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        layers, rows, columns = shape
        factor = rng.standard_normal((layers, rows, 32)).astype(np.float32) @ rng.standard_normal((layers, 32, columns))
        return (factor + rng.standard_normal(shape)).astype(np.float32)

    f, own = ({name: draw(shape) for name, shape in shapes.items()} for _ in range(2))
    sign = np.where(np.arange(LAYERS) == 0, -1, 1).astype(np.float32)[:, None, None]
    return jax.tree.map(jnp.asarray, (f, {name: own[name] + sign * f[name] for name in shapes}))


class Step:
    """One compiled optimiser step, which goes on from the state it left."""

    def __init__(self, name: str, optimiser: optax.GradientTransformationExtraArgs, f: Any, g: Any):
        self.name, self.f, self.g = name, f, g
        self.params = jax.tree.map(jnp.zeros_like, f)
        self.state = optimiser.init(self.params)
        self.update: Callable[..., Any] = jax.jit(optimiser.update, donate_argnums=1)

    def __call__(self) -> "Step":
        updates, self.state = self.update(self.f, self.state, self.params, constraint_grads=self.g)
        jax.block_until_ready(updates)
        return self

    def facts(self) -> dict[str, Any]:
        """How many of the matrices fired."""
        if self.name == MUON:
            return {}
        return {"matrices that fired": int(sum(fired.sum() for fired in jax.tree.leaves(sift_metrics(self.state).fired)))}


if __name__ == "__main__":
    main(measure)
