"""Eleven levels of one 4864 x 896 update: rebuilt step by step by us, and as U diag(s) Vᵀ per level by the peers.

    OPENBLAS_NUM_THREADS=1 python benchmarks/levels.py

Everything is float32 and ends in W(k) = W_base + ΔW(k). Both sides have their factors already, ours ΔW·V and V, the
peers' U, s and V; `first use` is what reading, checking and multiplying ours costs once for all operators of a sweep.
torch is measured where it is installed.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np

from jaxtrunc.spectral import Decomposition, Level, Reconstructor, decompose, plan_levels, references

M, N = 4864, 896
RANKS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 895)
REPEATS = 3


def pair() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Base and fine-tuned weights, one kernel each."""
    rng = np.random.default_rng(0)
    base = {"kernel": (0.02 * rng.standard_normal((M, N))).astype(np.float32)}
    return base, {"kernel": base["kernel"] + (1e-3 * rng.standard_normal((M, N))).astype(np.float32)}


def cpu_seconds(call: Callable[[], object]) -> float:
    """Median CPU time of a few calls, after one to warm up."""
    call()
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return statistics.median(times)


def ours(decomposition: Decomposition, rebuild: Reconstructor, operator: str) -> Callable[[], object]:
    """All levels of an operator in the order of a sweep."""
    levels = plan_levels(decomposition, [operator], RANKS)

    def run() -> None:
        for level in levels:
            rebuild.weights(level)

    return run


def per_level(base: dict[str, np.ndarray], ft: dict[str, np.ndarray]) -> dict[str, Callable[[], object]]:
    """W_base + U_k diag(s_k) V_kᵀ for each k, from factors that are there already."""
    u, s, vt = np.linalg.svd(ft["kernel"] - base["kernel"], full_matrices=False)

    def in_numpy() -> None:
        for k in RANKS:
            _ = base["kernel"] + (u[:, :k] * s[:k]) @ vt[:k]

    try:
        import torch
    except ImportError:
        return {"numpy, U diag(s) Vt per level": in_numpy}
    torch.set_num_threads(1)
    tu, ts, tvt, tbase = map(torch.from_numpy, (u, s, vt, base["kernel"]))

    def in_torch() -> None:
        for k in RANKS:
            _ = tbase + tu[:, :k] @ torch.diag(ts[:k]) @ tvt[:k]

    return {"numpy, U diag(s) Vt per level": in_numpy, "torch, U diag(s) Vt per level": in_torch}


def main() -> None:
    base, ft = pair()
    peers = {name: cpu_seconds(call) for name, call in per_level(base, ft).items()}
    decomposition = decompose(base, ft, references({"kernel": (M, N)}))
    first = cpu_seconds(lambda: Reconstructor(decomposition, base, ft, workers=1).weights(Level("top_k", k=1)))
    print(f"first use {1000 * first:.0f} ms")
    rebuild = Reconstructor(decomposition, base, ft, workers=1)
    for operator in ("top_k", "drop_top_k", "bottom_k"):
        seconds = cpu_seconds(ours(decomposition, rebuild, operator))
        print(f"{operator:11s} {len(RANKS)} levels, ours {1000 * seconds:6.0f} ms")
        for name, other in peers.items():
            print(f"    {name:32s} {1000 * other:6.0f} ms   {other / seconds:5.2f} x ours")
    for operator in ("random_k", "flatten_k", "sparsify", "noise"):
        count = len(plan_levels(decomposition, [operator], RANKS))
        seconds = cpu_seconds(ours(decomposition, rebuild, operator))
        print(f"{operator:11s} {count} levels (all seeds), ours {1000 * seconds / count:6.1f} ms each")


if __name__ == "__main__":
    main()
