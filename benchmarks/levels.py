"""The weights of a model at eleven levels: rebuilt step by step by us, and afresh per level by torch and mergekit users.

    python benchmarks/levels.py           one matrix of each shape of Qwen2.5-0.5B, summed by how often it occurs; three minutes
    python benchmarks/levels.py --tiny    to see that it runs

Every way starts from the same float32 weights and ends in W(k) = W_base + ΔW(k) at the same ranks. In the first tables both sides
have their factors already, ours ΔW·V and V, theirs U, s and V; in the last nothing is there but the weights.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from plan_memory import HALF_B
from suite.harness import Way, combine, compare, main
from suite.peers import NO_MERGEKIT, NO_TORCH, mergekit_kernel, single_threaded_torch
from suite.qwen import TINY, Pair, linear_shapes, random_pair
from suite.report import Comparison, Report

from jaxtrunc import spectral

RANKS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 895)
NUMPY, DIAG, ADDMM = "numpy, W + (U·s)·Vᵀ", "torch, W + U·diag(s)·Vᵀ", "torch, addmm(W, U·s, Vᵀ)"
ONCE, EVERY, SVD = "mergekit once, W + B·A per level", "mergekit once per level, W + B·A", "torch.linalg.svd once, addmm per level"
Weights = Iterator[np.ndarray]


def measure(tiny: bool) -> Report:
    """Levels alone, then decomposition and levels."""
    rounds, shapes = (1, linear_shapes(TINY)) if tiny else (3, linear_shapes(HALF_B))
    alone: list[tuple[float, Comparison]] = []
    whole: list[tuple[float, Comparison]] = []
    for shape, count in shapes.items():
        pair, ranks = random_pair(shape), [k for k in RANKS if k < min(shape)]
        title = f"Levels alone: one matrix of {shape[0]} × {shape[1]}"
        alone.append((count, compare(title, rebuilds(pair, ranks), rounds)))
        whole.append((count, compare(title, from_weights(pair, ranks), rounds)))
    levels, both = (combine(f"{title}: all {sum(shapes.values())} matrices", parts) for title, parts in
                    (("Levels alone", alone), ("Decomposition and levels", whole)))
    tall = max((part for _, part in alone), key=lambda part: part.rows[0].cpu[0])
    report = Report("How long does it take to make the weights at eleven ranks?", comparisons=[levels, tall, both])
    report.measured = {"rebuild": levels.ratio(DIAG), "rebuild_careful": levels.ratio(ADDMM), "once": both.ratio(ONCE),
                       "once_careful": both.ratio(SVD), "per_level": both.ratio(EVERY)}
    report.notes = [
        f"Ranks {', '.join(map(str, RANKS))}; of a smaller matrix those below its rank. The levels are those of a sweep of top_k, "
        "in its order. The error is the largest of an entry of W(k) against float64, over all ranks, over the largest of ΔW.",
        "`rebuild` of the targets is against U·diag(s)·Vᵀ, as it is mostly written; addmm is what a careful user of torch writes. "
        "numpy stands beside both, since its BLAS is faster on this processor than torch's.",
        "`mergekit once` asks its kernel for full rank, since every rank is cut from that; its users get one rank per call of "
        "`mergekit-extract-lora`, which is `once per level`. Reading and writing files is counted for nobody."]
    return report


def rebuilds(pair: Pair, ranks: list[int]) -> list[Way]:
    """The levels, from factors that are there."""
    base, ft, refs = pair.leaves()
    decomposition = spectral.decompose(base, ft, refs, workers=1)
    rebuild = spectral.Reconstructor(decomposition, base, ft, workers=1)
    u, s, vt = (x.astype(np.float32) for x in np.linalg.svd(pair.update, full_matrices=False))
    ways = {"ours: Reconstructor.weights": partial(ours, decomposition, rebuild, ranks),
            NUMPY: lambda: (pair.base + (u[:, :k] * s[:k]) @ vt[:k] for k in ranks)}
    torch = single_threaded_torch()
    if torch is None:
        return [*as_ways(pair, ranks, ways), *(Way(name, None, missing=NO_TORCH) for name in (DIAG, ADDMM))]
    weights, tu, ts, tvt = map(torch.from_numpy, (pair.base, u, s, vt))
    us = tu * ts
    ways[DIAG] = lambda: ((weights + tu[:, :k] @ torch.diag(ts[:k]) @ tvt[:k]).numpy() for k in ranks)
    ways[ADDMM] = lambda: (torch.addmm(weights, us[:, :k], tvt[:k]).numpy() for k in ranks)
    return as_ways(pair, ranks, ways)


def from_weights(pair: Pair, ranks: list[int]) -> list[Way]:
    """Decomposition and levels, from the two weights alone."""
    base, ft, refs = pair.leaves()

    def both() -> Weights:
        decomposition = spectral.decompose(base, ft, refs, workers=1)
        return ours(decomposition, spectral.Reconstructor(decomposition, base, ft, workers=1), ranks)

    found = as_ways(pair, ranks, {"ours: decompose, then Reconstructor.weights": both})
    torch, kernel = single_threaded_torch(), mergekit_kernel()
    if torch is None:
        return [*found, *(Way(name, None, missing=NO_TORCH) for name in (SVD, ONCE, EVERY))]
    weights, tuned = torch.from_numpy(pair.base), torch.from_numpy(pair.ft)
    found += as_ways(pair, ranks, {SVD: lambda: by_svd(torch, weights, tuned, ranks)})
    if kernel is None:
        return [*found, *(Way(name, None, missing=NO_MERGEKIT) for name in (ONCE, EVERY))]

    def once() -> Weights:
        a, b = kernel(weights, tuned, min(pair.base.shape))
        return (torch.addmm(weights, b[:, :k], a[:k]).numpy() for k in ranks)

    def every() -> Weights:
        for k in ranks:
            a, b = kernel(weights, tuned, k)
            yield torch.addmm(weights, b, a).numpy()

    return [*found, *as_ways(pair, ranks, {ONCE: once, EVERY: every})]


def ours(decomposition: spectral.Decomposition, rebuild: spectral.Reconstructor, ranks: list[int]) -> Weights:
    """Each level as the next one overwrites it; turned as torch has it."""
    for level in spectral.plan_levels(decomposition, ["top_k"], ranks):
        yield rebuild.weights(level).leaves["kernel"].T


def by_svd(torch: Any, weights: Any, tuned: Any, ranks: list[int]) -> Weights:
    """What a careful user of torch writes."""
    u, s, vt = torch.linalg.svd(tuned - weights, full_matrices=False)
    us = u * s
    return (torch.addmm(weights, us[:, :k], vt[:k]).numpy() for k in ranks)


def as_ways(pair: Pair, ranks: list[int], ways: dict[str, Callable[[], Weights]]) -> list[Way]:
    """Ways that go through all levels, each with its error."""
    u, s, vt = np.linalg.svd(pair.update.astype(np.float64), full_matrices=False)

    def error(make: Callable[[], Weights], _: object) -> dict[str, Any]:
        wrong = max(float(np.abs(found - pair.base - (u[:, :k] * s[:k]) @ vt[:k]).max())
                    for k, found in zip(ranks, make(), strict=True))
        return {"worst error of W(k)": wrong / float(np.abs(pair.update).max())}

    return [Way(name, partial(run_through, make), partial(error, make)) for name, make in ways.items()]


def run_through(make: Callable[[], Weights]) -> None:
    """Make every level and keep none."""
    for _ in make():
        pass


if __name__ == "__main__":
    main(measure)
