"""Eight models with the matrices of Qwen2.5-0.5B merged into one: ours against mergekit on the same YAML; time and memory.

    python benchmarks/merge.py           nine random checkpoints of 425 MB in a temporary directory; half an hour, 4 GB of disk
    python benchmarks/merge.py --tiny    to see that it runs

Half of its layers and a quarter of its vocabulary: over the whole embedding mergekit's TIES holds 17 GB, and is killed where there
is less. Each merge (suite/merging.py) runs in a process of its own, which says how long it took once everything was imported.
mergekit has none of the spectral methods; TSV-Merge is there to see what it costs beside TIES.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from plan_memory import HALF_B, write_random
from suite.harness import Timed, Way, compare, main
from suite.peers import NO_MERGEKIT, find
from suite.qwen import TINY
from suite.report import Comparison, Report

from jaxtrunc.core.safetensors import open_checkpoint
from jaxtrunc.models import read_config, write_model
from jaxtrunc.models.table import hf_shapes

MODELS = 8
SHAPE = HALF_B | {"num_hidden_layers": 12, "vocab_size": 37_984}
ROUNDS = 1
"""After the first, of methods that both have."""

METHODS = {"linear": {}, "ties": {"density": 0.5}, "dare_linear": {"density": 0.5}, "tsv_merge": {}}
OURS, THEIRS = "ours", "mergekit 0.1.5"
RESIDENT = "resident memory over the start, × the largest tensor in float32"
SUM = "sum of magnitudes, one matrix"


def measure(tiny: bool) -> Report:
    """Every method by both, on files that are in the system's cache where it is large enough."""
    config = (TINY if tiny else SHAPE) | {"architectures": ["Qwen2ForCausalLM"]}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = write_random(folder / "base", config)
        models = [write_tuned(folder / f"m{seed}", base, seed) for seed in range(MODELS)]
        largest = 4 * config["vocab_size"] * config["hidden_size"]
        comparisons = [merges(folder, method, base, models, largest) for method in METHODS]
    report = Report(f"How long does it take to merge {MODELS} models into one, and how much memory?", comparisons=comparisons)
    report.measured = {f"merge_{comparison.title.split()[0]}": comparison.ratio(THEIRS) for comparison in comparisons
                       if comparison.row(THEIRS).cpu}
    report.notes = [f"Both read {MODELS + 1} bfloat16 checkpoints, work in float32 and write bfloat16, from one YAML file. Import "
                    "time is apart. Ours also computes the cosines between all task vectors, for TSV-Merge their interference.",
                    "Of entries of equal magnitude, which bfloat16 has many of, ours keeps the first and mergekit any; DARE's "
                    "masks are other random numbers: hence the sums.",
                    f"Resident memory counts the pages of mapped files. T + 3 is {MODELS + 3}."]
    return report


def write_tuned(directory: Path, base: Path, seed: int) -> Path:
    """The base with a Gaussian update of every matrix, other for each seed."""
    checkpoint, cfg = open_checkpoint(base), read_config(base)

    def tensors() -> Iterator[tuple[str, np.ndarray]]:
        for name, shape in hf_shapes(cfg):
            rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
            yield name, checkpoint.read(name).astype(np.float32) + np.float32(1e-3) * rng.standard_normal(shape, np.float32)

    write_model(directory, tensors(), source=base, cfg=cfg, dtype="bfloat16")
    return directory


def merges(folder: Path, method: str, base: Path, models: list[Path], largest: int) -> Comparison:
    """One method by both programs."""
    entries = [{"model": str(model), "parameters": {"weight": 1 / len(models)} | METHODS[method]} for model in models]
    config = {"merge_method": method, "models": entries, "dtype": "float32", "out_dtype": "bfloat16"}
    file = folder / f"{method}.yaml"
    file.write_text(yaml.safe_dump(config | ({} if method == "linear" else {"base_model": str(base)})))
    facts = partial(told, largest)
    missing = "no such method" if method == "tsv_merge" else None if find("mergekit") else NO_MERGEKIT
    theirs = None if missing else partial(in_a_process, "mergekit", file, folder / "out")
    return compare(f"{method} of {len(models)} models", [Way(OURS, partial(in_a_process, "ours", file, folder / "out"), facts),
                                                         Way(THEIRS, theirs, facts, missing)], ROUNDS if theirs else 0)


def in_a_process(program: str, config: Path, out: Path) -> Timed:
    """One merge in a fresh process; of what it writes a sum is kept."""
    done = subprocess.run([sys.executable, "-m", "suite.merging", program, str(config), str(out)], capture_output=True, text=True,
                          check=False, cwd=Path(__file__).parent)
    if done.returncode:
        raise RuntimeError(f"{program} failed: {done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1]) | {"sum": checksum(out)}
    shutil.rmtree(out)
    return Timed(found["cpu"], found["wall"], found)


def checksum(out: Path) -> float:
    """Of the absolute values of one matrix, to see that both merged the same."""
    return float(np.abs(open_checkpoint(out).read("model.layers.1.mlp.up_proj.weight").astype(np.float64)).sum())


def told(largest: int, found: dict[str, float]) -> dict[str, Any]:
    """Memory in units of the largest tensor, and the sum."""
    return {RESIDENT: found["resident"] / largest, SUM: f"{found['sum']:.5g}"}


if __name__ == "__main__":
    main(measure)
