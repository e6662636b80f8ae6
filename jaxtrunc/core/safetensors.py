"""Reading safetensors files that nobody vouches for: bounded headers, checked offsets, memory-mapped tensors.

Format: 8 bytes little-endian header length, a JSON header `{name: {dtype, shape, data_offsets}}`, then the data
(https://huggingface.co/docs/safetensors). Nothing is allocated from a number in the file before it has been checked
against the size of the file.

What is accepted here is accepted by the official library, with the same tensors. It also accepts what is refused here:
- element types that NumPy has no name for (F4, F6_E2M3, F6_E3M2, F8_E8M0, C64, …): no model of ours is stored in them;
- more than 32 axes: NumPy has at most 64, and no weight has more than a few;
- a key that stands twice, such as two tensors of one name: two readers could see two files;
- an entry written as a list instead of an object, a header that does not begin with `{`: the format forbids both;
- a link to a file elsewhere than in its own folder or in the blobs of the hub cache it lies in: a downloaded folder
  must not make us read what else is on the machine.
"""

import hashlib
import math
import mmap
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.core.jsonio import loads, read_json

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
METADATA = "__metadata__"
MAX_HEADER_BYTES = 100_000_000  # the format's own limit
MAX_NAME_BYTES = 255  # of a file, on every system
MAX_BYTES = 2**63 - 1  # of a tensor, an axis of size 0 left out: NumPy forms no array beyond, not even an empty one
DTYPES: dict[str, np.dtype] = {
    "F64": np.dtype(np.float64), "F32": np.dtype(np.float32), "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16), "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2), "I64": np.dtype(np.int64), "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16), "I8": np.dtype(np.int8), "U64": np.dtype(np.uint64), "U32": np.dtype(np.uint32),
    "U16": np.dtype(np.uint16), "U8": np.dtype(np.uint8), "BOOL": np.dtype(np.bool_),
}  # fmt: skip


@dataclass(frozen=True)
class TensorInfo:
    """Where one tensor lies: file, element type, shape, and its bytes `[start, stop)` counted from the file's start."""

    name: str
    file: Path
    dtype: np.dtype
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass
class Checkpoint:
    """The tensors of one directory, checked but not read; `read` maps the file and copies nothing."""

    directory: Path
    tensors: dict[str, TensorInfo]
    _maps: dict[Path, mmap.mmap] = field(default_factory=dict, repr=False)

    def read(self, name: str, rows: slice | None = None) -> np.ndarray:
        """The tensor (or its `rows` along the first axis) as a read-only view of the memory map, in stored dtype."""
        info = self.tensors[name]
        count = math.prod(info.shape)
        if count == 0:
            return np.empty(info.shape, info.dtype)[rows or slice(None)]
        flat = np.frombuffer(self._map(info.file), info.dtype, count, info.start)
        array = flat.reshape(info.shape)
        return array if rows is None else array[rows]

    def release(self, name: str) -> None:
        """Let go of the memory pages of a tensor that has been used; a later `read` fetches them again."""
        info = self.tensors[name]
        if info.file not in self._maps or not hasattr(mmap, "MADV_DONTNEED"):
            return
        first = -(-info.start // mmap.PAGESIZE) * mmap.PAGESIZE
        last = info.stop // mmap.PAGESIZE * mmap.PAGESIZE
        if last > first:
            self._maps[info.file].madvise(mmap.MADV_DONTNEED, first, last - first)

    def _map(self, file: Path) -> mmap.mmap:
        if file not in self._maps:
            with open(file, "rb") as opened:
                self._maps.setdefault(file, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
        return self._maps[file]


def content_hash(checkpoint: Checkpoint) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of all tensors, the same however they are split into files."""
    digest = hashlib.sha256()
    for name, info in sorted(checkpoint.tensors.items()):
        digest.update(f"{name}\0{info.dtype.name}\0{info.shape}\0".encode())
        digest.update(checkpoint.read(name).reshape(-1).view(np.uint8).data)
        checkpoint.release(name)
    return digest.hexdigest()


def open_checkpoint(directory: Path) -> Checkpoint:
    """Check every safetensors file of a model directory; an index, if there is one, says which files count.

    Raises:
        InputError: no safetensors in the directory, a malformed file or index; the message names the file.
    """
    index = directory / INDEX
    if index.exists():
        return Checkpoint(directory, _indexed_tensors(directory, index))
    if (directory / WEIGHTS).exists():
        return Checkpoint(directory, read_header(directory / WEIGHTS))
    raise InputError(f"{directory}: no {WEIGHTS} and no {INDEX}{_what_is_there(directory)}")


def open_tensor(directory: Path, choose: Callable[[Collection[str]], str]) -> tuple[Checkpoint, str]:
    """One tensor alone: `choose` takes its name out of all there are, and no file is opened but the one that holds it.

    Raises:
        InputError: no safetensors, a malformed index, or a file that is missing, malformed or does not hold the tensor.
    """
    index, file = directory / INDEX, directory / WEIGHTS
    if index.exists():
        weight_map = read_index(index)
        name = choose(weight_map)
        file = _shard_path(directory, index, weight_map[name])
        tensors = read_header(file)
        if name not in tensors:
            raise InputError(f"{index}: says that '{name}' is in {file.name}, which does not hold it; index and shards disagree")
    elif file.exists():
        tensors = read_header(file)
        name = choose(tensors)
    else:
        raise InputError(f"{directory}: no {WEIGHTS} and no {INDEX}{_what_is_there(directory)}")
    return Checkpoint(directory, {name: tensors[name]}), name


def _what_is_there(directory: Path) -> str:
    pickled = sorted(p.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for p in directory.glob(pattern))
    if not pickled:
        return ""
    return (f"; {pickled[0]} is a pickle, which is never opened here because it can run code: save the model with "
            "safetensors (transformers: save_pretrained)")  # fmt: skip


def _indexed_tensors(directory: Path, index: Path) -> dict[str, TensorInfo]:
    weight_map = read_index(index)
    shards = {name: read_header(_shard_path(directory, index, name)) for name in sorted(set(weight_map.values()))}
    faults = [f"'{key}' is not in {shard}" for key, shard in weight_map.items() if key not in shards[shard]]
    held = Counter(key for shard in shards.values() for key in shard)
    faults += [f"'{key}' is in {count} shards" for key, count in held.items() if count > 1]
    faults += [f"'{key}' is in a shard but not in the index" for key in held if key not in weight_map]
    if faults:
        raise InputError(f"{index}: index and shards disagree: {listed(faults)}")
    return {key: shards[shard][key] for key, shard in weight_map.items()}


def read_index(index: Path) -> dict[str, str]:
    """Tensor name → file name, of a model.safetensors.index.json; nothing says yet that the files are there."""
    content = read_json(index)
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not all(isinstance(v, str) for v in weight_map.values()):
        raise InputError(f"{index}: expected an object 'weight_map' from tensor names to file names")
    return weight_map


def _shard_path(directory: Path, index: Path, name: str) -> Path:
    """A shard is a plain file name beside its index."""
    plain = name == Path(name).name and not {"\\", "\0"} & set(name) and len(name.encode()) <= MAX_NAME_BYTES
    if not plain or not name.endswith(".safetensors"):
        raise InputError(f"{index}: shard name {shown(name)} is not a plain *.safetensors file name; paths are refused")
    path = directory / name
    if not path.is_file():
        raise InputError(f"{index}: shard {name} is missing from {directory}; the download may be incomplete")
    return path


def read_header(file: Path) -> dict[str, TensorInfo]:
    """Name → `TensorInfo` for one file, in file order, after every number was checked against the file's size."""
    if not file.is_file():
        raise InputError(f"{file}: expected a file")
    if not _stays(file):
        raise InputError(f"{file}: is a link to {file.resolve()}; only links into the same folder or the blobs of a hub cache are "
                         "followed: put the file itself there, or give the folder it lies in")
    size = file.stat().st_size
    with open(file, "rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER_BYTES):
            raise InputError(f"{file}: the header claims {length} bytes, the file has {size}; truncated or damaged")
        entries = _parse_header(file, opened.read(length))
    tensors = [_tensor(file, name, entry, 8 + length) for name, entry in entries.items() if name != METADATA]
    _check_layout(file, tensors, 8 + length, size)
    return {tensor.name: tensor for tensor in tensors}


def _stays(file: Path) -> bool:
    """Whether `file` lies, links followed, in its folder, or in REPO/blobs if the folder lies in REPO/snapshots."""
    folder, target = file.parent.resolve(), file.resolve()
    blobs = [parent.parent / "blobs" for parent in folder.parents if parent.name == "snapshots"]
    return any(target.is_relative_to(place) for place in (folder, *blobs))


def _parse_header(file: Path, raw: bytes) -> dict[str, Any]:
    try:
        entries = loads(raw.decode())
    except ValueError as error:
        raise InputError(f"{file}: the header is not valid JSON ({error})") from None
    if not isinstance(entries, dict) or raw[:1] != b"{":
        raise InputError(f"{file}: the header is not a JSON object")
    notes = entries.get(METADATA) or {}
    if not isinstance(notes, dict) or not all(isinstance(note, str) for note in notes.values()):
        raise InputError(f"{file}: {METADATA} in the header is not an object of strings")
    return entries


def _tensor(file: Path, name: str, entry: Any, data: int) -> TensorInfo:
    fields = entry if isinstance(entry, dict) else {}
    what = f"{file}: tensor {shown(name, 200)}"
    dtype = DTYPES.get(str(fields.get("dtype")))
    if dtype is None:
        raise InputError(f"{what} has unknown dtype {shown(fields.get('dtype'))}, expected one of {', '.join(DTYPES)}")
    shape, offsets = _naturals(fields.get("shape")), _naturals(fields.get("data_offsets"))
    if shape is None or offsets is None or len(offsets) != 2:
        raise InputError(f"{what} needs a shape and two data_offsets of whole numbers")
    begin, end = offsets
    if math.prod(size for size in shape if size) * dtype.itemsize > MAX_BYTES:
        raise InputError(f"{what} of shape {shape} is beyond what any file holds")
    if math.prod(shape) * dtype.itemsize != end - begin:
        raise InputError(
            f"{what} of shape {shape} and dtype {fields['dtype']} needs "
            f"{math.prod(shape) * dtype.itemsize} bytes, its data_offsets give {end - begin}"
        )
    return TensorInfo(name, file, dtype, tuple(shape), data + begin, data + end)


def _naturals(value: Any) -> list[int] | None:
    """The value if it is a short list of whole numbers that fit a file."""
    whole = isinstance(value, list) and len(value) <= 32 and all(type(n) is int and 0 <= n < 2**63 for n in value)
    return value if whole else None


def _check_layout(file: Path, tensors: list[TensorInfo], data: int, size: int) -> None:
    """The tensors must cover the data section exactly: no overlap, no hole, nothing past the end."""
    position = data
    for tensor in sorted(tensors, key=lambda t: (t.start, t.stop)):
        if tensor.start != position:
            kind = "overlaps the tensor before it" if tensor.start < position else "leaves a hole before it"
            raise InputError(f"{file}: tensor {shown(tensor.name, 200)} {kind} (data_offsets)")
        position = tensor.stop
    if position != size:
        raise InputError(f"{file}: the header describes {position} bytes, the file has {size}; truncated or damaged")


def listed(faults: list[str], limit: int = 12) -> str:
    """The first `limit` faults joined by `; `, and how many more there are."""
    more = f"; and {len(faults) - limit} more" if len(faults) > limit else ""
    return "; ".join(faults[:limit]) + more
