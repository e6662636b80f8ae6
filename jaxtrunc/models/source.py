"""A model directory whose config and tensors have been checked, and whose weights are still on disk."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.safetensors import Checkpoint, TensorInfo, listed, open_checkpoint
from jaxtrunc.models.config import DecoderConfig
from jaxtrunc.models.families import FAMILIES
from jaxtrunc.models.read_config import CONFIG, read_config
from jaxtrunc.models.table import hf_shapes, key_table, leaf_shapes, rule_names

STORED = ("float32", "bfloat16", "float16")
CHECKED = 1 << 17  # entries looked at together, so that they stay in the cache
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


class LazyLeaf:
    """One parameter leaf on disk: `leaf[layer]` is that layer's array in our (in, out) layout, in stored dtype.

    A view of the memory map, checked for NaN and Inf the first time it is read. An unstacked leaf has one entry, the
    whole array.
    """

    def __init__(self, checkpoint: Checkpoint, names: list[str], shape: tuple[int, ...], transpose: bool):
        self.shape, self.names = shape, names
        self.dtype = np.result_type(*(checkpoint.tensors[name].dtype for name in names))
        self._checkpoint, self._transpose = checkpoint, transpose
        self._checked: set[str] = set()

    @property
    def stacked(self) -> bool:
        """Whether the leaf has a layer axis that its tensors have not."""
        return len(self.shape) > len(self._checkpoint.tensors[self.names[0]].shape)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, layer: int) -> np.ndarray:
        return self.part(layer, ())

    def part(self, layer: int, index: tuple[slice, ...]) -> np.ndarray:
        """The slice `index` of `leaf[layer]`; nothing else of the tensor is read or checked."""
        name = self.names[layer]
        array = self._checkpoint.read(name)
        part = (array.T if self._transpose else array)[index]
        if name not in self._checked:
            _refuse_non_finite(part, self._checkpoint.tensors[name])
            if part.size == array.size:
                self._checked.add(name)
        return part

    def release(self, layer: int) -> None:
        """Drop the memory pages of a layer that has been used."""
        self._checkpoint.release(self.names[layer])


@dataclass(frozen=True)
class ModelSource:
    """A checked model directory; nothing of its weights has been read."""

    directory: Path
    cfg: DecoderConfig
    checkpoint: Checkpoint

    def leaves(self) -> dict[str, LazyLeaf]:
        """Path → leaf on disk, for every leaf of the parameter tree."""
        shapes = leaf_shapes(self.cfg)
        return {
            rule.path: LazyLeaf(self.checkpoint, rule_names(rule, self.cfg), shapes[rule.path], rule.transpose)
            for rule in key_table(self.cfg)
        }


def open_model(directory: Path) -> ModelSource:
    """Check config, tensor names, shapes and dtypes of a Hugging Face model directory.

    Raises:
        InputError: all unknown, missing or wrongly shaped tensors in one message, or the first malformed file.
    """
    cfg = read_config(directory)
    checkpoint = open_checkpoint(directory)
    _check_tensors(directory, cfg, checkpoint)
    return ModelSource(directory, cfg, checkpoint)


def _check_tensors(directory: Path, cfg: DecoderConfig, checkpoint: Checkpoint) -> None:
    expected = dict(hf_shapes(cfg))
    ignored = re.compile(FAMILIES[cfg.family].ignored)
    extra = [name for name in checkpoint.tensors if name not in expected and not ignored.search(name)]
    if cfg.tie_embeddings and HEAD in extra and EMBEDDING in checkpoint.tensors:
        _check_tied_head(directory, checkpoint)
        extra.remove(HEAD)
    faults = [f"'{name}' is missing" for name in expected if name not in checkpoint.tensors]
    faults += [f"'{name}' is unknown" for name in extra]
    for name, shape in expected.items():
        if name in checkpoint.tensors:
            faults += _tensor_faults(checkpoint.tensors[name], shape)
    if faults:
        hint = _hint(cfg, expected, checkpoint.tensors)
        raise InputError(f"{directory}: the weights do not fit {CONFIG}{hint}: {listed(faults)}")


def _tensor_faults(info: TensorInfo, shape: tuple[int, ...]) -> list[str]:
    faults = []
    if info.shape != shape:
        faults.append(f"'{info.name}' should have shape {list(shape)}, {info.file.name} has {list(info.shape)}")
    if info.dtype.name not in STORED:
        faults.append(f"'{info.name}' has dtype {info.dtype.name}, expected one of {', '.join(STORED)}")
    return faults


def _check_tied_head(directory: Path, checkpoint: Checkpoint) -> None:
    """A tied checkpoint may carry its head a second time, if it is the same array."""
    head, embedding = checkpoint.read(HEAD), checkpoint.read(EMBEDDING)
    if head.shape != embedding.shape or head.dtype != embedding.dtype or head.tobytes() != embedding.tobytes():
        raise InputError(
            f"{directory}: {CONFIG} says tie_word_embeddings true, but '{HEAD}' differs from '{EMBEDDING}'; "
            "set tie_word_embeddings to false if the head is a matrix of its own"
        )


def _hint(cfg: DecoderConfig, expected: Iterable[str], found: Iterable[str]) -> str:
    """The config field that most likely explains the faults."""
    found = set(found)
    if HEAD in expected and HEAD not in found:
        return f" (tie_word_embeddings is false there, but the files hold no '{HEAD}')"
    layers = Counter(match[1] for name in found if (match := re.match(r"model\.layers\.(\d+)\.", name)))
    if layers and len(layers) != cfg.num_layers:
        return f" (num_hidden_layers is {cfg.num_layers} there, the files hold {len(layers)} layers)"
    return ""


def _refuse_non_finite(array: np.ndarray, info: TensorInfo) -> None:
    """Looked at in the order of the file, some at a time and as float32: NumPy asks one bfloat16 after the other."""
    ordered = np.atleast_1d(array.T if array.flags.f_contiguous else array)
    step, bad = max(CHECKED // max(ordered[:1].size, 1), 1), 0
    for start in range(0, len(ordered), step):
        block = ordered[start:start + step]
        block = block.astype(np.float32) if block.itemsize < 4 else block
        bad += block.size - int(np.count_nonzero(np.isfinite(block)))
    if bad:
        raise InputError(f"{info.file}: tensor '{info.name}' holds {bad} NaN or infinite values; use a sound checkpoint")
