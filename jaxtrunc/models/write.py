"""Writing a Hugging Face model directory tensor by tensor, staged beside its place and renamed when it is whole."""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from jaxtrunc.core.errors import InputError, RunFailed
from jaxtrunc.core.files import new_directory
from jaxtrunc.core.jsonio import read_json, write_json, write_text
from jaxtrunc.core.processes import fetch
from jaxtrunc.core.safetensors import INDEX, WEIGHTS
from jaxtrunc.core.trees import Params, flatten
from jaxtrunc.models.config import DecoderConfig
from jaxtrunc.models.read_config import CONFIG
from jaxtrunc.models.table import hf_shapes, key_table, rule_names

DTYPES = {"float32": ("F32", np.float32), "bfloat16": ("BF16", ml_dtypes.bfloat16), "float16": ("F16", np.float16)}
COMPANIONS = (
    "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "merges.txt", "vocab.txt", "chat_template.jinja", "chat_template.json", "generation_config.json",
)  # fmt: skip


def to_hf(cfg: DecoderConfig, params: Params) -> Iterator[tuple[str, np.ndarray]]:
    """Every tensor under its Hugging Face name and in its layout, one at a time off the device; every process must take all."""
    return hf_tensors(cfg, flatten(params))


def hf_tensors(cfg: DecoderConfig, leaves: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """The same from `{path: leaf}`, where a leaf is an array or still on disk (`leaf[layer]`; `leaf[0]` if unstacked)."""
    for rule in key_table(cfg):
        leaf = leaves[rule.path]
        lazy = not hasattr(leaf, "__array__")
        for layer, name in enumerate(rule_names(rule, cfg)):
            array = fetch(leaf[layer] if lazy or rule.stacked else leaf)
            yield name, array.T if rule.transpose else array


def write_model(
    directory: Path,
    tensors: Iterable[tuple[str, np.ndarray]],
    *,
    source: Path,
    cfg: DecoderConfig,
    dtype: str,
    readme: str | None = None,
    max_shard_bytes: int = 5_000_000_000,
) -> None:
    """Write a directory that `transformers` opens; one tensor in memory at a time.

    Args:
        directory: must not exist, or be empty; appears only when everything is in it.
        tensors: each tensor of the model once, in any order, Hugging Face names and layout.
        source: directory whose config.json, tokenizer, chat template and generation config go along.
        cfg: says which tensors there must be and of which shapes.
        dtype: stored dtype, `float32`, `bfloat16` or `float16`.
        readme: text of the model card.
        max_shard_bytes: the weights are split into several files above this size.
    """
    if dtype not in DTYPES:
        raise InputError(f"dtype: expected one of {', '.join(DTYPES)}, found '{dtype}'")
    with new_directory(directory) as staged:
        _write_weights(staged, tensors, cfg, dtype, max_shard_bytes)
        _write_companions(staged, source, dtype, readme)
        _make_readable(staged)


def _write_weights(staged: Path, tensors: Iterable[tuple[str, np.ndarray]], cfg: DecoderConfig, dtype: str, limit: int):
    code, kind = DTYPES[dtype]
    shards = _plan(dict(hf_shapes(cfg)), np.dtype(kind).itemsize, limit)
    files = {}
    for number, shapes in enumerate(shards, 1):
        name = WEIGHTS if len(shards) == 1 else f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        shard = _Shard(staged / name, shapes, code, np.dtype(kind))
        files |= dict.fromkeys(shapes, shard)
    if len(shards) > 1:
        total = sum(shard.size for shard in set(files.values()))
        names = {name: shard.path.name for name, shard in sorted(files.items())}
        write_json(staged / INDEX, {"metadata": {"total_size": total}, "weight_map": names})
    left = set(files)
    for name, array in tensors:
        if name not in left:
            raise RunFailed(f"tensor '{name}' is {'written twice' if name in files else 'not part of the model'}")
        files[name].write(name, array)
        left.discard(name)
    if left:
        raise RunFailed(f"tensor '{min(left)}' and {len(left) - 1} more were not given")


def _plan(shapes: dict[str, tuple[int, ...]], itemsize: int, limit: int) -> list[dict[str, tuple[int, ...]]]:
    """Tensors in order, a new shard whenever the next one would not fit."""
    shards: list[dict[str, tuple[int, ...]]] = [{}]
    used = 0
    for name, shape in shapes.items():
        size = int(np.prod(shape)) * itemsize
        if shards[-1] and used + size > limit:
            shards.append({})
            used = 0
        shards[-1][name] = shape
        used += size
    return shards


class _Shard:
    """One safetensors file whose header is written first, so that tensors can be put in place in any order."""

    def __init__(self, path: Path, shapes: dict[str, tuple[int, ...]], code: str, dtype: np.dtype):
        self.path, self.shapes, self.dtype = path, shapes, dtype
        self.offsets: dict[str, int] = {}
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}  # transformers asks for it
        position = 0
        for name, shape in shapes.items():
            end = position + int(np.prod(shape)) * dtype.itemsize
            header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [position, end]}
            self.offsets[name], position = position, end
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)  # data aligned to 8 bytes
        self.start, self.size = 8 + len(text), position
        with open(path, "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.truncate(self.start + position)

    def write(self, name: str, array: np.ndarray) -> None:
        """Cast one tensor to the stored dtype (round to nearest) and put it in its place."""
        if array.shape != self.shapes[name]:
            raise RunFailed(f"tensor '{name}': expected shape {self.shapes[name]}, got {array.shape}")
        with np.errstate(over="ignore"):  # reported below
            stored = np.ascontiguousarray(array, self.dtype)
        if not np.isfinite(stored).all():
            raise RunFailed(f"tensor '{name}' holds NaN or infinite values as {self.dtype.name}")
        with open(self.path, "r+b") as file:
            file.seek(self.start + self.offsets[name])
            file.write(stored.reshape(-1).view(np.uint8).data)


def _write_companions(staged: Path, source: Path, dtype: str, readme: str | None) -> None:
    config = read_json(source / CONFIG)
    named = [key for key in ("dtype", "torch_dtype") if key in config] or ["dtype"]
    write_json(staged / CONFIG, config | dict.fromkeys(named, dtype))
    for name in COMPANIONS:
        if (source / name).is_file():
            shutil.copyfile(source / name, staged / name)
    if readme is not None:
        write_text(staged / "README.md", readme)


def _make_readable(staged: Path) -> None:
    """Readable by other users, as servers under an account of their own need."""
    staged.chmod(0o755)
    for file in staged.iterdir():
        file.chmod(0o644)
