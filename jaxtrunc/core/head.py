"""The output head of a model directory: which tensor it is, and its rows, read from that one file alone."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrunc.core.errors import InputError, did_you_mean
from jaxtrunc.core.jsonio import read_json
from jaxtrunc.core.safetensors import INDEX, WEIGHTS, Checkpoint, TensorInfo, open_tensor, read_index

CONFIG = "config.json"
HEADS = ("lm_head.weight", "unembedding.weight", "output.weight")
EMBEDDINGS = ("model.embed_tokens.weight", "transformer.wte.weight")
NORMS = ("model.norm.weight", "transformer.ln_f.weight", "norm.scale", "norm.weight")
FLOATS = ("float64", "float32", "bfloat16", "float16")
TIED = "tie_word_embeddings"
# model_type whose config class in transformers ties head and embedding where config.json says nothing.
TIED_FAMILIES = {"gemma", "gemma2", "gemma3", "gemma3_text", "gpt2", "opt", "cohere", "cohere2", "bloom", "falcon", "mpt",
                 "starcoder2", "gpt_neo", "smollm3", "mamba"}  # fmt: skip
OFFSET_FAMILIES = {"gemma", "gemma2", "gemma3", "gemma3_text"}
"""Their norms multiply by 1 + γ."""


@dataclass(frozen=True)
class Head:
    """One matrix `(V, d)` on disk; `head[start:stop]` are rows as stored, a view of the memory map.

    `tied`: whether it is also the embedding, as config.json says; None where there is no config.json.
    """

    checkpoint: Checkpoint
    key: str
    tied: bool | None
    model_type: str | None

    @property
    def info(self) -> TensorInfo:
        """Where it lies."""
        return self.checkpoint.tensors[self.key]

    @property
    def shape(self) -> tuple[int, ...]:
        """`(V, d)`."""
        return self.info.shape

    @property
    def dtype(self) -> np.dtype:
        """As stored."""
        return self.info.dtype

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self.checkpoint.read(self.key, rows)


def read_head(path: Path | str, key: str | None = None) -> Head:
    """The head of a local model directory, checked but not read; no other file of weights is opened.

    Args:
      key: name of the tensor; default: `lm_head.weight`, `unembedding.weight`, `output.weight`, or, where config.json ties the
        two (or its family does and it says nothing), the embedding.

    Raises:
      InputError: no such tensor or file, not a matrix of floats, fewer rows than columns, or a quantised one.
    """
    directory = Path(path)
    config = _config(directory)
    tied = None if config is None else _tied(config)
    checkpoint, name = open_tensor(directory, lambda names: _chosen(directory, names, key, tied))
    _check(checkpoint.tensors[name])
    return Head(checkpoint, name, tied, None if config is None else config.get("model_type"))


def head_files(directory: Path, key: str | None = None, *, gain: bool = False) -> list[str]:
    """Names of the files of weights that `read_head` (and `final_gain`) will open; they need not be there yet, only the index.

    Raises:
      InputError: as for `read_head`, of the index.
    """
    if not (directory / INDEX).exists():
        return [WEIGHTS]
    config, weight_map = _config(directory), read_index(directory / INDEX)
    names = [_chosen(directory, weight_map, key, None if config is None else _tied(config))]
    names += [_norm(directory, weight_map)] if gain else []
    return sorted({weight_map[name] for name in names})


def final_gain(directory: Path, model_type: str | None, width: int) -> np.ndarray:
    """What the norm before the head multiplies by, `(d,)` float64: γ, or 1 + γ in Gemma.

    Raises:
      InputError: no such tensor, or of another size.
    """
    checkpoint, name = open_tensor(directory, lambda names: _norm(directory, names))
    gain = checkpoint.read(name).astype(np.float64)
    if gain.shape != (width,):
        raise InputError(f"{checkpoint.tensors[name].file}: '{name}' should have shape [{width}], found {list(gain.shape)}")
    return gain + 1 if model_type in OFFSET_FAMILIES else gain


def _config(directory: Path) -> dict[str, Any] | None:
    file = directory / CONFIG
    if not file.exists():
        return None
    config = read_json(file)
    if not isinstance(config, dict):
        raise InputError(f"{file}: expected a JSON object")
    return config


def _tied(config: dict[str, Any]) -> bool:
    inner = config.get("text_config")
    for place in (config, inner if isinstance(inner, dict) else {}):
        if isinstance(place.get(TIED), bool):
            return place[TIED]
    return config.get("model_type") in TIED_FAMILIES


def _chosen(directory: Path, names: Collection[str], key: str | None, tied: bool | None) -> str:
    if key is not None:
        if key not in names:
            raise InputError(f"{directory}: no tensor '{key}' (--key){did_you_mean(key, names)}")
        return key
    if any(name in names for name in HEADS) or not tied:
        return _first(directory, names, HEADS, "head", "" if tied is None else f", and {CONFIG} does not say {TIED}")
    return _first(directory, names, (*HEADS, *EMBEDDINGS), "head")


def _norm(directory: Path, names: Collection[str]) -> str:
    return _first(directory, names, NORMS, "final norm")


def _first(directory: Path, names: Collection[str], wanted: tuple[str, ...], what: str, why: str = "") -> str:
    for name in wanted:
        if name in names:
            return name
    packed = sorted(name for name in names if name.startswith("lm_head."))
    hint = f"; '{packed[0]}' looks packed or quantised, which is never unpacked here" if packed else "; name it with --key"
    raise InputError(f"{directory}: no {what}: none of {', '.join(wanted)} is there{why}{hint}")


def _check(info: TensorInfo) -> None:
    what = f"{info.file}: '{info.name}'"
    if info.dtype.name not in FLOATS:
        raise InputError(f"{what} is stored as {info.dtype.name}; a head of {', '.join(FLOATS)} was expected, and a packed or "
                         "quantised one is not unpacked here: save it in floats")
    if len(info.shape) != 2:
        raise InputError(f"{what} has shape {list(info.shape)}; a head is a matrix, vocabulary × width")
    rows, width = info.shape
    if rows < width or width < 2:
        raise InputError(f"{what} has shape {list(info.shape)}; a head has at least two columns and no fewer rows than columns")
