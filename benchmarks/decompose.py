"""One 0.5B-sized update decomposed by us and by what the peers call: CPU seconds, ratios and error, in one process.

    OPENBLAS_NUM_THREADS=1 python benchmarks/decompose.py

torch is measured where it is installed (mergekit and PEFT call `torch.linalg.svd` in float32), one thread each.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from jaxtrunc.spectral.backends.gram64 import decompose_gram64
from jaxtrunc.spectral.backends.host import decompose_host

SHAPES = ((4864, 896), (896, 896))
REPEATS = 5


def update(m: int, n: int) -> np.ndarray:
    """A power-law signal and full-rank noise, float32."""
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.standard_normal((size, n)))[0] for size in (m, n))
    signal = (left * (np.arange(1, n + 1.0) ** -0.8)) @ right.T
    return (signal + 1e-3 * rng.standard_normal((m, n)) / n**0.5).astype(np.float32)


def peers() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Name → function giving singular values after a full thin decomposition."""
    found: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "gram64 (ours)": lambda x: decompose_gram64(x)[0],
        "LAPACK float64": lambda x: decompose_host(x)[0],
        "numpy float32": lambda x: np.linalg.svd(x, full_matrices=False)[1],
    }
    try:
        import torch
    except ImportError:
        return found
    torch.set_num_threads(1)
    return found | {"torch.linalg.svd float32": lambda x: torch.linalg.svd(torch.from_numpy(x), full_matrices=False)[1].numpy()}


def cpu_seconds(call: Callable[[], object]) -> float:
    """Median CPU time of a few calls, after one to warm up."""
    call()
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return statistics.median(times)


def main() -> None:
    for m, n in SHAPES:
        x = update(m, n)
        exact = decompose_host(x)[0]
        functions = peers()
        seconds = {name: cpu_seconds(partial(call, x)) for name, call in functions.items()}
        print(f"{m} x {n}")
        for name, call in functions.items():
            error = float(np.max(np.abs(call(x) / exact - 1)))
            print(f"  {name:26s} {1000 * seconds[name]:7.0f} ms   {seconds[name] / seconds['gram64 (ours)']:5.2f} x ours   "
                  f"worst relative error of a singular value {error:.0e}")


if __name__ == "__main__":
    main()
