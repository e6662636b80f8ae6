"""What a bad input is, where its files lie, and how the verbs meet them."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


@dataclass(frozen=True)
class Place:
    """A folder of sound inputs of every kind, for one case to spoil."""

    root: Path

    base = property(lambda self: self.root / "base")
    model = property(lambda self: self.root / "model")
    adapter = property(lambda self: self.root / "adapter")
    task = property(lambda self: self.root / "task.yaml")
    rows = property(lambda self: self.root / "rows.jsonl")
    config = property(lambda self: self.root / "run.yaml")
    run = property(lambda self: self.root / "run")
    out = property(lambda self: self.root / "out")

    def arguments(self, verb: tuple[str, ...]) -> list[str]:
        """The command line with paths for the words in braces."""
        names = ("base", "model", "adapter", "task", "config", "run", "out")
        return [word.format(**{name: getattr(self, name) for name in names}) for word in verb]


Spoil = Callable[[Place], Any]
DECOMPOSE = ("decompose", "-q", "--base-model", "{base}", "--model", "{model}", "--out-path", "{out}")
ADAPTED = ("decompose", "-q", "--base-model", "{base}", "--model", "{base}+{adapter}", "--out-path", "{out}")
FINETUNE = ("finetune", "-q", "--base-model", "{model}", "--task", "{task}", "--out-path", "{out}", "train.max_steps=1")
SWEEP = ("sweep", "{run}", "-q", "--task", "{task}", "--ranks", "1", "--operators", "top_k", "--resume")
RUN = ("run", "{config}", "-q", "--out-path", "{out}")
REPORT = ("report", "{run}", "-q")
EXPORT = ("export", "{run}", "-q", "--rank", "1", "--format", "hf", "--out-path", "{out}")


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
      spoil: puts the fault into a place.
      verb: the command line that meets it, with the words of `Place.arguments`.
      names: words that the refusal must hold: the file, and the fault.
      begins: the fault lies in bytes that are read while the verb works, so that its output may have begun.
      hazard: a reader that falls for it waits for ever or fills the memory.
    """

    id: str
    spoil: Spoil
    verb: tuple[str, ...]
    names: tuple[str, ...]
    begins: bool = False
    hazard: bool = False


def framed(header: Any, data: bytes = b"") -> bytes:
    """A safetensors file of a header (an object, or bytes as they stand) and its data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def split(file: Path) -> tuple[dict[str, Any], bytes]:
    """Header and data of a sound safetensors file."""
    raw = file.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def change_json(file: Path, **changes: Any) -> None:
    """Set keys of a JSON object; a value may be NaN or infinite."""
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def change_text(file: Path, old: str, new: str) -> None:
    """Replace a text that must be there."""
    text = file.read_text()
    assert old in text, (file, old)
    file.write_text(text.replace(old, new))


def change_tensor(file: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Replace one tensor of a file."""
    tensors = load_file(file)
    save_file(tensors | {name: np.ascontiguousarray(change(tensors[name].copy()))}, file, metadata={"format": "pt"})


def pipe(file: Path) -> None:
    """A FIFO that nobody writes to in the file's place."""
    file.unlink(missing_ok=True)
    os.mkfifo(file)


def sparse(file: Path, size: int) -> None:
    """A file that claims `size` bytes and takes none."""
    file.unlink(missing_ok=True)
    file.touch()
    os.truncate(file, size)
