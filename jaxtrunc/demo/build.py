"""Make the demo's rows and base model anew, from nothing but seeds:  python -m jaxtrunc.demo.build

The base is made as any user would make one, by `jaxtrunc pretrain`, on text that the demo generates itself.
"""

import gzip
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jaxtrunc.core import jsonio
from jaxtrunc.demo import ASSETS
from jaxtrunc.demo.benchmark import benchmark_rows
from jaxtrunc.demo.corpus import documents

DOCUMENTS, TEXT_SEED, ROWS_SEED = 60_000, 1, 2
PARTS = (
    "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "README.md",
)  # fmt: skip


def build(assets: Path = ASSETS) -> None:
    """Write rows.jsonl.gz and model/ into `assets`, which holds pretrain.yaml."""
    write_rows(assets / "rows.jsonl.gz", benchmark_rows(ROWS_SEED))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        jsonio.rewrite_lines(work / "text.jsonl", ({"text": text} for text in documents(DOCUMENTS, TEXT_SEED)))
        shutil.copyfile(assets / "pretrain.yaml", work / "pretrain.yaml")
        command = [sys.executable, "-m", "jaxtrunc", "pretrain", work / "pretrain.yaml", "--out-path", work / "model"]
        subprocess.run(command, check=True)
        shutil.rmtree(assets / "model", ignore_errors=True)
        (assets / "model").mkdir(parents=True)
        for name in PARTS:
            shutil.copyfile(work / "model" / name, assets / "model" / name)


def write_rows(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    """JSON lines, compressed without a time stamp, so that the same rows are the same bytes."""
    text = "".join(jsonio.dumps(row) + "\n" for row in rows)
    file.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    build()
