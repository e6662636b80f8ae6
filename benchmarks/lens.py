"""The vocabulary lens on heads of real size: its decomposition beside the five lines with torch, and the verb from end to end.

    python benchmarks/lens.py           half an hour, 12 GB of memory for torch, 2 GB of disk
    python benchmarks/lens.py --tiny    to see that it runs

*Decomposition*: a bfloat16 head in; out come σ, all right and the leading 30 left singular vectors. torch has no smaller question
to ask: `torch.linalg.svd` of the head in float32, then cut. *From end to end*: `jaxtrunc lens` on a directory, all its files
written, on all cores of the machine.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from suite.harness import Way, compare, main
from suite.heads import random_head, write_head
from suite.peers import NO_TORCH, single_threaded_torch
from suite.report import Report, Table

from jaxtrunc.lens import vocab_svd

QWEN, GPT_OSS = (151_936, 896), (201_088, 2_880)
TORCH = "torch.linalg.svd float32, thin (five lines)"
K = 30


def measure(tiny: bool) -> Report:
    """Both sizes, the decomposition and the verb."""
    shapes = ((600, 16), (900, 24)) if tiny else (QWEN, GPT_OSS)
    comparisons = [decomposition(shape, rounds) for shape, rounds in zip(shapes, (2, 1), strict=True)]
    report = Report("How long does it take to audit a head, how exact are its directions, and how much memory does it need?",
                    comparisons=comparisons, tables=[end_to_end(shapes)])
    ratios = [ratio for comparison in comparisons if (ratio := comparison.ratio(TORCH)) is not None]
    report.measured = {"lens_svd": min(ratios, default=None)}
    report.notes = ["Errors are against float64: σ by LAPACK from the triangular factors of blocks of rows, put together by "
                    f"another QR; the leading {K} left vectors by how far UᵀU is from the identity."]
    return report


def decomposition(shape: tuple[int, int], rounds: int) -> Any:
    """σ, V and leading U of one head."""
    head = random_head(*shape)
    exact = singular_values(head)
    ways = [Way("ours: lens.vocab_svd", partial(vocab_svd, head, K), lambda found: errors(exact, found.sigma, found.u))]
    torch = single_threaded_torch()
    if torch is None:
        return compare(named(shape), [*ways, Way(TORCH, None, missing=NO_TORCH)], rounds)

    def five_lines() -> Any:
        wide = torch.from_numpy(head.view(np.int16)).view(torch.bfloat16).float()
        u, s, vh = torch.linalg.svd(wide, full_matrices=False)
        return u[:, :K].clone(), s, vh

    return compare(named(shape), [*ways, Way(TORCH, five_lines, lambda found: errors(exact, found[1].numpy(), found[0].numpy()))],
                   rounds)


def singular_values(head: np.ndarray, block: int = 16_384) -> np.ndarray:
    """In float64, by a way of its own."""
    parts = [np.linalg.qr(head[at : at + block].astype(np.float64), mode="r") for at in range(0, len(head), block)]
    return np.linalg.svd(np.linalg.qr(np.concatenate(parts), mode="r"), compute_uv=False)


def errors(exact: np.ndarray, sigma: np.ndarray, u: np.ndarray) -> dict[str, float]:
    """What is wrong with σ, relative, and with the leading left vectors."""
    wide = u[:, :K].astype(np.float64)
    return {"worst σ error": float(np.max(np.abs(sigma / exact - 1))),
            "UᵀU − 1": float(np.abs(wide.T @ wide - np.eye(wide.shape[1])).max())}


def end_to_end(shapes: tuple[tuple[int, int], ...]) -> Table:
    """The verb in a process of its own."""
    cells = []
    with tempfile.TemporaryDirectory() as name:
        for number, shape in enumerate(shapes):
            model = write_head(Path(name) / f"model{number}", *shape)
            wall, resident = run_verb(model, Path(name) / f"out{number}")
            cells.append([named(shape), f"{wall:.0f} s", f"{resident / 1e9:.2f} GB"])
    return Table("`jaxtrunc lens` from end to end, bfloat16, without a tokenizer", ["head", "by the clock", "resident at most"],
                 cells)


def run_verb(model: Path, out: Path) -> tuple[float, int]:
    """Seconds by the clock and bytes resident at most, of a process on all cores."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "jaxtrunc", "lens", str(model), "--out-path", str(out), "-q"], check=True,
                   preexec_fn=lambda: os.sched_setaffinity(0, range(os.cpu_count() or 1)))
    return time.perf_counter() - start, 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def named(shape: tuple[int, int]) -> str:
    """As a heading."""
    return f"{shape[0]:,} × {shape[1]:,}".replace(",", " ")


if __name__ == "__main__":
    main(measure)
