"""What it costs to start: `--help`, and a second run of the same config, whose programs are compiled already.

    python benchmarks/startup.py           help of everybody, and a short run of the demo's config twice; two minutes
    python benchmarks/startup.py --tiny    to see that it runs

Commands run in processes of their own, as a user starts them.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from suite.harness import Timed, Way, compare, cpu_seconds, main
from suite.peers import NO_MERGEKIT, NO_TORCH, find
from suite.report import Comparison, Report, Row

from jaxtrunc.demo import ASSETS

SHORT = ("train.max_steps=8", "sweep.operators=[top_k]", "sweep.limit=64")
RUN = ("run", str(ASSETS / "demo.yaml"), *SHORT)
TUNE = ("finetune", "--base-model", str(ASSETS / "model"), "--task", str(ASSETS / "task.yaml"), "train.max_steps=1")
HELP, BARE = "`jaxtrunc --help`", "`python -c pass`"


def measure(tiny: bool) -> Report:
    """Help, then the two runs."""
    report = Report("How long does it take to start, and what does a second run compile?")
    report.comparisons = [compare("Help", helps(), 0 if tiny else 4), twice(tiny)]
    whole, again = report.comparisons[0].rows[0], report.comparisons[1].rows[1]
    report.measured = {"help": sorted(whole.cpu)[len(whole.cpu) // 2], "second_run": again.facts["compiled"]}
    report.notes = [
        "`jaxtrunc --help` imports no array library. The program starts itself once more to have its heap in large pages, which "
        "is in the figure.",
        f"The run is `jaxtrunc run demo.yaml {' '.join(SHORT)}`: fine-tuning, decomposition, sweep and report, in two new "
        "directories with one new cache of compiled programs. *Compiled* counts every program that XLA compiled, however small."]
    return report


def helps() -> list[Way]:
    """What a user of each waits for before reading how to use it."""
    ways = [Way(HELP, partial(command, "-m", "jaxtrunc", "--help")), Way(BARE, partial(command, "-c", "pass"))]
    extract, importing = "`mergekit-extract-lora --help`", "`import torch, transformers`"
    ways.append(Way(extract, partial(command, "-m", "mergekit.scripts.extract_lora", "--help"))
                if find("mergekit") else Way(extract, None, missing=NO_MERGEKIT))
    ways.append(Way(importing, partial(command, "-c", "import torch, transformers"))
                if find("torch") else Way(importing, None, missing=NO_TORCH))
    return ways


def command(*arguments: str, **variables: str) -> Timed:
    """Run Python as a user does, without what settled.py sets for the heap."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"} | variables
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment,
                          cwd=Path(__file__).parent)
    if done.returncode:
        raise RuntimeError(f"{arguments} failed: {done.stderr[-2000:]}")
    return Timed(cpu_seconds() - cpu, time.perf_counter() - wall)


def twice(tiny: bool) -> Comparison:
    """The same config twice, with a cache that is empty at first; tiny: fine-tuning alone, compiled without optimisation."""
    fast = {"XLA_FLAGS": "--xla_backend_optimization_level=0"} if tiny else {}
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for row in ("first run", "second run"):
            counts, run = Path(name) / f"{row}.json", Path(name) / row
            verb = (*(TUNE if tiny else RUN), "--out-path", str(run))
            timed = command("-m", "suite.counted", str(counts), *verb, XDG_CACHE_HOME=name, **fast)
            facts: dict[str, Any] = json.loads(counts.read_text(encoding="utf-8"))
            rows.append(Row(row, cpu=[timed.cpu], wall=[timed.wall], facts=facts))
    return Comparison("A short run of the demo", rows)


if __name__ == "__main__":
    main(measure)
