"""What `jaxtrunc plan` predicts against what the program takes: peak resident memory, as a Markdown table.

    python benchmarks/plan_memory.py             a 0.5B-shaped decomposition and a small model tuned, cut and swept; minutes
    python benchmarks/plan_memory.py --small     four layers of the 0.5B shape and a smaller fine-tuning; two minutes at most
    python benchmarks/plan_memory.py --headers   how long planning itself takes for 7B and 70B shapes; seconds

With `--out results/plan_memory.json` the table is kept for RESULTS.md.

Weights are random, and lie in a temporary directory (3 GB at most). Measured is VmHWM of a process of its own that runs the
verb. Exit code 1 if a prediction is off by more than 20 %.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from suite.report import Report, Table, keep

from jaxtrunc.demo import ASSETS
from jaxtrunc.models import read_config, write_model
from jaxtrunc.models.table import hf_shapes
from jaxtrunc.planning.sizes import in_words
from jaxtrunc.recipes.plan import What, Where, planned

ALLOWED = 0.2
LARGE = Where(host_memory="1TiB")  # whether it fits is not the question here
PROMPT_TOKENS = 40  # of the longest prompt of the demo's benchmark, rounded up as batches are
RUN_AND_TELL = """
import re, sys
from pathlib import Path
from jaxtrunc.cli import main
main(sys.argv[1:])
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""
QWEN = {"model_type": "qwen2", "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 1e6, "max_position_embeddings": 32768,
        "torch_dtype": "bfloat16", "tie_word_embeddings": True}
HALF_B = QWEN | {"vocab_size": 151936, "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
                 "num_attention_heads": 14, "num_key_value_heads": 2}
SEVEN_B = QWEN | {"vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
                  "num_attention_heads": 28, "num_key_value_heads": 4, "tie_word_embeddings": False}
SEVENTY_B = {"model_type": "llama", "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 5e5,
             "max_position_embeddings": 8192, "torch_dtype": "bfloat16", "tie_word_embeddings": False, "vocab_size": 128256,
             "hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64,
             "num_key_value_heads": 8}


@dataclass(frozen=True)
class Row:
    """One verb: peak resident memory in bytes, as predicted and as measured."""

    what: str
    predicted: int
    measured: int

    @property
    def error(self) -> float:
        """Of the prediction, relative."""
        return self.predicted / self.measured - 1

    @property
    def cells(self) -> list[str]:
        """Of the table."""
        return [self.what, in_words(self.predicted), in_words(self.measured), f"{100 * self.error:+.1f} %"]

    def __str__(self) -> str:
        return f"| {' | '.join(self.cells)} |"


def decomposition(folder: Path, config: dict[str, Any], what: str) -> Row:
    """A pair of random bfloat16 checkpoints of these shapes, decomposed."""
    base, tuned = (write_random(folder / name, config, tuned=name == "tuned") for name in ("base", "tuned"))
    predicted = peaks(What(base_model=str(base), model=str(tuned)))["decomposition"]
    return Row(f"decompose, {what}", predicted,
               measured("decompose", "--base-model", base, "--model", tuned, "--out-path", folder / "run"))


def small_model(folder: Path, width: int, layers: int, batch_size: int) -> Iterator[Row]:
    """The demo's benchmark learned by a random model of this width, then decomposed, swept and exported."""
    sizes = {"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers, "num_attention_heads": 8,
             "num_key_value_heads": 8}
    config = json.loads((ASSETS / "model/config.json").read_text()) | sizes
    del config["layer_types"]
    base, run = write_random(folder / "base", config, like=ASSETS / "model"), folder / "run"
    train = {"batch_size": batch_size, "max_steps": 4, "checkpoint_every": 2}
    task = ASSETS / "task.yaml"
    (folder / "run.yaml").write_text(yaml.safe_dump({"name": "small", "base_model": str(base), "task": str(task), "train": train}))
    predicted = peaks(What(folder / "run.yaml", tokens=PROMPT_TOKENS))
    what = f"{layers} layers of width {width}"
    yield Row(f"finetune, {what}, {batch_size} rows", predicted["fine-tuning"],
              measured("finetune", "--base-model", base, "--task", task, "--out-path", run,
                       *(f"train.{key}={value}" for key, value in train.items())))
    yield Row(f"decompose, {what}", predicted["decomposition"],
              measured("decompose", "--base-model", base, "--model", run / "model", "--out-path", run))
    yield Row(f"sweep, {what}", predicted["sweep"],
              measured("sweep", run, "--task", task, "--operators", "top_k", "--ranks", "1,4", "--limit", "64"))
    yield Row(f"export, {what}", predicted["export"],
              measured("export", run, "--rank", "4", "--format", "hf", "--out-path", folder / "exported"))


def peaks(what: What) -> dict[str, int]:
    """Stage → predicted peak of the process on one CPU device."""
    plan, _ = planned(what, LARGE)
    return {stage.name: stage.host_peak(plan.machine)[0] for stage in plan.stages}


def measured(*arguments: object) -> int:
    """VmHWM, in bytes, of a process that runs a verb."""
    done = subprocess.run([sys.executable, "-c", RUN_AND_TELL, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} failed: {done.stderr[-2000:]}")
    return 1024 * int(done.stdout.split()[-1])


def write_random(directory: Path, config: dict[str, Any], *, tuned: bool = False, like: Path | None = None) -> Path:
    """A bfloat16 checkpoint, tensor by tensor: the same weights every time, and those plus an update if `tuned`."""
    source = directory.with_name(f"{directory.name}-config")
    shutil.copytree(like, source) if like else source.mkdir(parents=True)
    (source / "config.json").write_text(json.dumps(config))
    cfg = read_config(source)

    def tensors() -> Iterator[tuple[str, np.ndarray]]:
        for name, shape in hf_shapes(cfg):
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            weights = 0.02 * rng.standard_normal(shape, np.float32)
            yield name, weights + 1e-3 * rng.standard_normal(shape, np.float32) if tuned and len(shape) == 2 else weights

    write_model(directory, tensors(), source=source, cfg=cfg, dtype="bfloat16")
    return directory


def write_headers(directory: Path, config: dict[str, Any], shards: int) -> Path:
    """A checkpoint of headers alone: the bfloat16 data behind them is a hole in the file and takes no disk."""
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps(config))
    tensors = dict(hf_shapes(read_config(directory)))
    names, weight_map = list(tensors), {}
    for number in range(shards):
        file, header, position = f"model-{number + 1:05d}-of-{shards:05d}.safetensors", {}, 0
        for name in names[number::shards]:
            end = position + 2 * int(np.prod(tensors[name]))
            header[name] = {"dtype": "BF16", "shape": list(tensors[name]), "data_offsets": [position, end]}
            weight_map[name], position = file, end
        text = json.dumps(header).encode()
        with open(directory / file, "wb") as opened:
            opened.write(len(text).to_bytes(8, "little") + text)
            opened.truncate(8 + len(text) + position)
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return directory


def time_headers(folder: Path) -> None:
    """Print how long planning takes, once in a process that has everything imported."""
    print("| planned from headers | shards | seconds | smallest mesh of 80 GiB devices |\n|---|---|---|---|")
    for name, config, shards in (("7B", SEVEN_B, 15), ("70B", SEVENTY_B, 30)):
        base = write_headers(folder / name, config, shards)
        start = time.perf_counter()
        plan, _ = planned(What(base_model=str(base)), Where(device_memory="80GiB", host_memory="4TiB"))
        print(f"| {name} | {shards} | {time.perf_counter() - start:.2f} | {plan.suggestion} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--headers", action="store_true")
    parser.add_argument("--out", type=Path)
    asked, started, load = parser.parse_args(), time.perf_counter(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.headers:
            time_headers(folder)
            return
        shape, what = (HALF_B | {"num_hidden_layers": 4, "vocab_size": 1024}, "4 layers of the 0.5B shape") if asked.small else \
            (HALF_B, "0.5B shape")
        rows = [decomposition(folder / "pair", shape, what),
                *small_model(folder / "small", *((384, 8, 32) if asked.small else (512, 8, 32)))]
    head = ["verb", "predicted", "measured", "error"]
    print(f"| {' | '.join(head)} |\n|---|---|---|---|", *rows, sep="\n")
    if asked.out:
        table = Table("Peak resident memory", head, [row.cells for row in rows])
        keep(Report("Is the memory that `jaxtrunc plan` predicts what a verb takes?", tables=[table])
             .result(time.perf_counter() - started, load), asked.out)
    sys.exit(any(abs(row.error) > ALLOWED for row in rows))


if __name__ == "__main__":
    main()
