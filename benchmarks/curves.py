"""How cost grows: CPU seconds against width, layers, levels, examples and virtual devices, with the exponent fitted and expected.

    python benchmarks/curves.py           two minutes
    python benchmarks/curves.py --tiny    to see that it runs

Small models and matrices: exponents are what is asked for here, the other scripts have the sizes that count. Below the expected
exponent a fixed cost shows at the small end; above it something grows that should not.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import sweep
from plan_memory import HALF_B
from suite.harness import Timed, Way, compare, main
from suite.peers import single_threaded_torch
from suite.qwen import Pair, random_pair
from suite.report import Curve, Report

from jaxtrunc import spectral
from jaxtrunc.evals import Scorer
from jaxtrunc.models import Execution

SMALL = HALF_B | {"vocab_size": 1024, "hidden_size": 256, "intermediate_size": 768, "num_attention_heads": 4}
ON_DEVICES = """
import sys, time
import numpy as np
from jaxtrunc import spectral
shape = (8, int(sys.argv[1]), int(sys.argv[1]))
base, ft = {"kernel": np.zeros(shape, np.float32)}, {"kernel": np.random.default_rng(0).standard_normal(shape, np.float32)}
refs = spectral.references({"kernel": shape})
spectral.decompose(base, ft, refs, backend="device", eigensolver="device")
cpu, wall = time.process_time(), time.perf_counter()
spectral.decompose(base, ft, refs, backend="device", eigensolver="device")
print(time.process_time() - cpu, time.perf_counter() - wall)
"""


@dataclass(frozen=True)
class Sizes:
    """What the curves run over, and the size of the matrices that are cut and of those that are divided among devices."""

    widths: tuple[int, ...]
    layers: tuple[int, ...]
    levels: tuple[int, ...]
    examples: tuple[int, ...]
    devices: tuple[int, ...]
    cut: int
    divided: int


FULL = Sizes((128, 256, 512, 1024), (1, 2, 4, 8), (4, 8, 16, 32), (16, 32, 64, 128), (1, 2, 4, 8), 1024, 256)
TINY = Sizes((16, 32), (1, 2), (2, 4), (8, 16), (1, 2), 32, 16)


def measure(tiny: bool) -> Report:
    """A curve for each thing that a user chooses, and torch's beside it where there is one."""
    rounds, sizes = (1, TINY) if tiny else (2, FULL)
    with tempfile.TemporaryDirectory() as name:
        models = {layers: sweep.Model(Path(name) / str(layers), SMALL | {"num_hidden_layers": layers}) for layers in sizes.layers}
        found = [*over_width(sizes, rounds), over_layers(models, rounds), *over_levels(sizes, rounds),
                 over_examples(models[sizes.layers[0]], sizes, rounds), over_devices(sizes, rounds)]
    return Report("How does the cost grow with width, layers, levels, examples and devices?", curves=found,
                  notes=["Virtual devices share one core here: their exponent is 0 if dividing the work adds none."])


def curve(name: str, axis: str, expected: float, calls: Mapping[int, Callable[[], Any]], rounds: int) -> Curve:
    """Sizes take turns, as ways do."""
    rows = compare(axis, [Way(str(size), call) for size, call in calls.items()], rounds).rows
    return Curve(name, axis, [float(size) for size in calls], [median(row.cpu) for row in rows], expected)


def over_width(sizes: Sizes, rounds: int) -> list[Curve]:
    """Decomposition of one square matrix."""
    pairs, axis = {size: random_pair((size, size)) for size in sizes.widths}, "width of a square matrix"
    found = [curve("decompose", axis, 3, {size: partial(decompose, pair) for size, pair in pairs.items()}, rounds)]
    torch = single_threaded_torch()
    if torch is not None:
        thin = partial(torch.linalg.svd, full_matrices=False)
        calls = {size: partial(thin, torch.from_numpy(pair.update)) for size, pair in pairs.items()}
        found.append(curve("torch.linalg.svd", axis, 3, calls, rounds))
    return found


def decompose(pair: Pair) -> spectral.Decomposition:
    """One matrix, as the product does it."""
    return spectral.decompose(*pair.leaves(), workers=1)


def over_layers(models: Mapping[int, sweep.Model], rounds: int) -> Curve:
    """A sweep of twelve levels."""
    calls = {layers: partial(model.sweep, Scorer(model.pair.cfg, Execution()), "float32") for layers, model in models.items()}
    return curve("12 levels", "layers", 1, calls, rounds)


def over_levels(sizes: Sizes, rounds: int) -> list[Curve]:
    """Weights at so many evenly spaced ranks of one square matrix, factors made already."""
    pair = random_pair((sizes.cut, sizes.cut))
    base, ft, _ = pair.leaves()
    decomposition = decompose(pair)
    rebuild = spectral.Reconstructor(decomposition, base, ft, workers=1)
    ranks = {count: np.linspace(1, sizes.cut - 1, count).astype(int).tolist() for count in sizes.levels}

    def ours(levels: list[spectral.Level]) -> None:
        for level in levels:
            rebuild.weights(level)

    plans = {count: spectral.plan_levels(decomposition, ["top_k"], some) for count, some in ranks.items()}
    found = [curve("rebuild", "levels", 1, {count: partial(ours, levels) for count, levels in plans.items()}, rounds)]
    torch = single_threaded_torch()
    if torch is not None:
        u, s, vt = torch.linalg.svd(torch.from_numpy(pair.update), full_matrices=False)
        us, weights = u * s, torch.from_numpy(pair.base)
        calls = {count: partial(lambda some: [torch.addmm(weights, us[:, :k], vt[:k]) for k in some], some)
                 for count, some in ranks.items()}
        found.append(curve("torch.addmm", "levels", 1, calls, rounds))
    return found


def over_examples(model: sweep.Model, sizes: Sizes, rounds: int) -> Curve:
    """One evaluation of so many prompts."""
    scorer, params = Scorer(model.pair.cfg, Execution()), model.weights.end("ft").params
    rows = {count: sweep.eval_set(sweep.random_prompts(SMALL["vocab_size"], count)) for count in sizes.examples}
    return curve("evaluation", "examples", 1, {count: partial(scorer.score, params, some) for count, some in rows.items()}, rounds)


def over_devices(sizes: Sizes, rounds: int) -> Curve:
    """Eight matrices on the device back end, in a process for each number of devices."""
    calls = {count: partial(on_devices, count, sizes.divided) for count in sizes.devices}
    return curve("device back end", "virtual devices", 0, calls, rounds)


def on_devices(count: int, size: int) -> Timed:
    """Seconds of the second call, which compiles nothing."""
    flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}"}
    done = subprocess.run([sys.executable, "-c", ON_DEVICES, str(size)], capture_output=True, text=True, check=True,
                          env=os.environ | flags)
    return Timed(*map(float, done.stdout.split()))


if __name__ == "__main__":
    main(measure)
