"""ΔW of two bfloat16 checkpoints, tensor by tensor: our reader, transformers' loader, and safetensors in torch; time and memory.

    python benchmarks/read.py           two random checkpoints of 988 MB in a temporary directory; two minutes, 2 GB of disk
    python benchmarks/read.py --tiny    to see that it runs

Each way (suite/readers.py) runs in a process of its own, which says how long it took once everything was imported, and by how
much its resident memory was at most above that at the start. All of them form float32 ΔW of the matrices that are decomposed, those
of the layers, and add up its squares.
"""

import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from plan_memory import HALF_B, write_random
from suite import readers
from suite.harness import Timed, Way, compare, main
from suite.peers import NO_TORCH, find
from suite.qwen import TINY
from suite.report import Report

RESIDENT = "resident memory over the start, × the two files"
OURS, FLOAT32 = next(iter(readers.WAYS)), "transformers, both loaded in float32"


def measure(tiny: bool) -> Report:
    """Every way in turn, on files that are in the system's cache."""
    config, rounds = (TINY, 0) if tiny else (HALF_B, 2)
    with tempfile.TemporaryDirectory() as name:
        folders = write_random(Path(name) / "base", config), write_random(Path(name) / "tuned", config, tuned=True)
        stored = sum(file.stat().st_size for folder in folders for file in folder.glob("*.safetensors"))
        ways = [Way(name, None, missing=NO_TORCH) if not name.startswith("ours") and find("torch") is None
                else Way(name, partial(in_a_process, name, folders), partial(facts, stored)) for name in readers.WAYS]
        comparison = compare(f"ΔW of two checkpoints of {stored / 2e6:.0f} MB", ways, rounds)
    report = Report("How long does it take to read two checkpoints and form ΔW, and how much memory?", comparisons=[comparison])
    report.measured = {"resident": comparison.rows[0].facts[RESIDENT], "reading": comparison.ratio(FLOAT32)}
    largest = 4 * config["intermediate_size"] * config["hidden_size"] / stored
    report.notes = [
        "The files were read once before, so no disk is measured. Import time is apart. `reading` of the targets is against the "
        "load in float32, the dtype of ΔW; safe_open is what a careful user of torch writes.",
        f"Resident memory counts the pages of mapped files. The largest ΔW, in float32, is {largest:.3f} × the two files."]
    return report


def in_a_process(name: str, folders: tuple[Path, Path]) -> Timed:
    """One way in a fresh process."""
    done = subprocess.run([sys.executable, "-m", "suite.readers", name, *map(str, folders)], capture_output=True, text=True,
                          check=False, cwd=Path(__file__).parent)
    if done.returncode:
        raise RuntimeError(f"{name} failed: {done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return Timed(found["cpu"], found["wall"], found)


def facts(stored: int, found: dict[str, float]) -> dict[str, Any]:
    """Memory over the size of the files, import time, and ‖ΔW‖, the same for all that read everything."""
    return {RESIDENT: found["resident"] / stored, "import, s": found["imported"], "‖ΔW‖": f"{found['norm']:.6g}"}


if __name__ == "__main__":
    main(measure)
