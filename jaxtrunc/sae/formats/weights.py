"""The arrays of one weights file that nobody vouches for: shapes are known and checked before anything is read."""

import math
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxtrunc.core.bounded import require_file
from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.core.safetensors import Checkpoint, read_header

Shapes = dict[str, tuple[int, ...]]
MATRICES = {"w_enc": ("d", "n"), "w_dec": ("n", "d")}
UNPACKED = 1 << 30  # bytes that a compressed file may always become; beyond, weights never shrink to a sixteenth


@dataclass(frozen=True)
class Weights:
    """One file: the shapes in it, and how to read an array."""

    file: Path
    shapes: Shapes
    read: Callable[[str], np.ndarray]

    def first(self, *names: str) -> str:
        """The first of several names of one array that the file holds; if none, the first."""
        return next((name for name in names if name in self.shapes), names[0])

    def refuse(self, names: Collection[str], why: str) -> None:
        """Raise `InputError` if the file holds one of these."""
        for name in sorted(set(names) & set(self.shapes)):
            raise InputError(f"{self.file}: holds '{name}': {why}")

    def only(self, names: Collection[str]) -> None:
        """Raise `InputError` if the file holds anything else, which would change what the autoencoder computes."""
        if others := sorted(set(self.shapes) - set(names)):
            raise InputError(f"{self.file}: holds '{others[0]}', which is no part of an autoencoder of this kind; "
                             f"expected {', '.join(sorted(names))}")


def open_safetensors(file: Path) -> Weights:
    """A safetensors file; `InputError` if it is damaged."""
    require_file(file)
    checkpoint = Checkpoint(file.parent, read_header(file))
    return Weights(file, {name: info.shape for name, info in checkpoint.tensors.items()}, checkpoint.read)


def open_npz(file: Path) -> Weights:
    """An .npz of plain arrays; `InputError` if it is damaged, holds objects, or would unpack to far more than its size."""
    require_file(file)
    with _zipped(file), zipfile.ZipFile(file) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        unpacked = sum(info.file_size for info in members.values())
        if unpacked > max(UNPACKED, 16 * file.stat().st_size):
            raise InputError(f"{file}: claims to unpack to {unpacked} bytes; no weights compress so far")
        shapes = {name: _header(file, archive, info) for name, info in members.items()}

    def read(name: str) -> np.ndarray:
        with _zipped(file), zipfile.ZipFile(file) as archive, archive.open(members[name]) as member:
            return np.lib.format.read_array(member, allow_pickle=False)

    return Weights(file, shapes, read)


@contextmanager
def _zipped(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{file}: cannot be read as .npz ({error}); truncated or damaged") from None


def _header(file: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[int, ...]:
    """The shape of one array, whose size must be what the archive says."""
    with archive.open(info) as member:
        read = np.lib.format.read_array_header_1_0 if np.lib.format.read_magic(member) == (1, 0) else (
            np.lib.format.read_array_header_2_0)
        shape, _, dtype = read(member)
        if dtype.hasobject or math.prod(shape) * dtype.itemsize != info.file_size - member.tell():
            raise InputError(f"{file}: '{info.filename}' of shape {shape} and type {dtype} does not fill its "
                             f"{info.file_size} bytes, or holds objects")
    return shape


def read_parts(weights: Weights, keys: Mapping[str, str], *, transposed: Collection[str] = (), count: str = "b_enc"
               ) -> dict[str, np.ndarray]:
    """Named parts of an autoencoder in its one layout, float32; orientation is that of the format, never guessed.

    Args:
      keys: our name → the name in the file.
      transposed: matrices that the file holds the other way round.
      count: the vector whose length is n; that of b_dec is d.

    Raises:
      InputError: a key is missing, has another shape than these lengths ask for, or holds what is no finite float32.
    """
    for key in keys.values():
        if key not in weights.shapes:
            held = ", ".join(sorted(weights.shapes)) or "nothing"
            raise InputError(f"{weights.file}: key '{key}' is missing; the file holds {held}")
    sizes = {"n": _length(weights, keys[count]), "d": _length(weights, keys["b_dec"])}
    for name, key in keys.items():
        _check_shape(weights, key, MATRICES.get(name, ("d" if name == "b_dec" else "n",)), sizes, name in transposed)
    return {name: _floats(weights, key).T if name in transposed else _floats(weights, key) for name, key in keys.items()}


def as_fields(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The arrays on the device, as keyword arguments of `SAE`."""
    return {name: jnp.asarray(array) for name, array in arrays.items()}


def _length(weights: Weights, key: str) -> int:
    shape = weights.shapes[key]
    if len(shape) != 1 or shape[0] == 0:
        raise InputError(f"{weights.file}: '{key}': expected one axis and at least one entry, found shape {shape}")
    return shape[0]


def _check_shape(weights: Weights, key: str, axes: tuple[str, ...], sizes: Mapping[str, int], turned: bool) -> None:
    axes = axes[::-1] if turned else axes
    expected, found = tuple(sizes[axis] for axis in axes), weights.shapes[key]
    if found != expected:
        remedy = "; it is transposed" if found == expected[::-1] else ""
        raise InputError(f"{weights.file}: '{key}': expected shape {expected}, which is ({', '.join(axes)}) by the lengths of the "
                         f"biases, found {found}{remedy}")


def _floats(weights: Weights, key: str) -> np.ndarray:
    """A copy in float32, so that nothing hangs on the file."""
    stored = weights.read(key)
    if not jnp.issubdtype(stored.dtype, jnp.floating):
        raise InputError(f"{weights.file}: '{key}': expected floating-point numbers, found {shown(stored.dtype.name)}")
    with np.errstate(over="ignore"):  # becomes an infinity, which is refused below
        array = np.array(stored, np.float32)
    if not np.isfinite(array).all():
        raise InputError(f"{weights.file}: '{key}' holds NaN or infinite values as float32")
    return array
