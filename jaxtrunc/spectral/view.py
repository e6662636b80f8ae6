"""Where a matrix lies in its leaf: one reshape and at most one slice, both invertible."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xxhash

from jaxtrunc.core.errors import InputError

HASHED = 1 << 18
"""Entries that are hashed together, put in order first where they lie transposed."""

TURNED = 128
"""Columns that are turned together."""


@dataclass(frozen=True)
class View:
    """Leaf → 2-D: `batch_axes` leading axes are batch, the next `row_axes` fold into rows, the rest into columns.

    `part` is `(axis, start, stop)` of the folded matrix: one head, or one logical matrix of a fused kernel.
    """

    batch_axes: int = 0
    row_axes: int = 1
    part: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Layout:
    """How a leaf that is not simply `(…, in, out)` is to be read; `parts` are split along `axis` of the folded matrix.

    Head-split q `(L, d, h, dh)` is `Layout(1)`; o `(L, h, dh, d)` is `Layout(1, 2)`; a fused `(L, d, q+k+v)` kernel is
    `Layout(1, parts={"q": …, "k": …, "v": …})`; heads as batch is `Layout(1, parts={"h0": dh, "h1": dh, …})`.
    """

    batch_axes: int = 0
    row_axes: int = 1
    parts: Mapping[str, int] | None = None
    axis: int = 1


@dataclass(frozen=True)
class MatrixRef:
    """One logical matrix: a unique name, the leaf it lies in, its batch index there, and how it is viewed.

    `shape` is `(m, n)` of the view, `(in, out)` for kernels.
    """

    name: str
    path: str
    index: int
    view: View
    shape: tuple[int, int]


def references(shapes: Mapping[str, tuple[int, ...]], names: Mapping[str, Sequence[str]] | None = None,
               views: Mapping[str, Layout] | None = None) -> list[MatrixRef]:
    """Every logical matrix of a tree, in path order; stacked vectors (biases, norm scales) have none.

    Args:
      shapes: path → leaf shape. Without a layout, all but the last two axes are batch.
      names: path → one name per batch entry (Hugging Face tensor names); default `path` or `path.INDEX`.
      views: path → layout, for head-split and fused leaves.
    """
    refs: list[MatrixRef] = []
    for path in sorted(shapes):
        shape, given = tuple(shapes[path]), (names or {}).get(path)
        layout = (views or {}).get(path) or Layout(len(shape) - 2)
        if layout.batch_axes >= 0 and not is_stacked_vector(path, shape, given):
            refs += _leaf_references(path, shape, given, layout)
    return refs


def is_stacked_vector(path: str, shape: tuple[int, ...], names: Sequence[str] | None = None) -> bool:
    """True for 1-D leaves and for `(L, n)` stacks of biases and norm scales."""
    vector_like = path.rsplit("/", 1)[-1] in ("bias", "scale") or (names is not None and len(names) > 1)
    return len(shape) < 2 or (len(shape) == 2 and vector_like)


def _leaf_references(path: str, shape: tuple[int, ...], names: Sequence[str] | None, layout: Layout) -> list[MatrixRef]:
    batch, rows = shape[:layout.batch_axes], shape[layout.batch_axes:layout.batch_axes + layout.row_axes]
    folded = (math.prod(rows), math.prod(shape) // max(math.prod(batch) * math.prod(rows), 1))
    labels = _labels(path, math.prod(batch), len(batch), names)
    return [MatrixRef(name + suffix, path, index, View(layout.batch_axes, layout.row_axes, part), _part_shape(folded, part))
            for index, name in enumerate(labels) for suffix, part in _parts(path, folded, layout)]


def _labels(path: str, entries: int, batch_axes: int, names: Sequence[str] | None) -> list[str]:
    if names is None:
        return [f"{path}.{index}" for index in range(entries)] if batch_axes else [path]
    inner, left = divmod(entries, len(names))
    if left or not inner:
        raise InputError(f"{path}: {len(names)} names for {entries} matrices; one name per matrix or per layer is needed")
    return [name if inner == 1 else f"{name}#{expert}" for name in names for expert in range(inner)]


def _parts(path: str, folded: tuple[int, int], layout: Layout) -> list[tuple[str, tuple[int, int, int] | None]]:
    if not layout.parts:
        return [("", None)]
    if sum(layout.parts.values()) != folded[layout.axis]:
        raise InputError(f"{path}: parts {dict(layout.parts)} do not add up to axis {layout.axis} of {folded}")
    stops = np.cumsum(list(layout.parts.values())).tolist()
    return [(f"#{name}", (layout.axis, stop - size, stop))
            for (name, size), stop in zip(layout.parts.items(), stops, strict=True)]


def _part_shape(folded: tuple[int, int], part: tuple[int, int, int] | None) -> tuple[int, int]:
    if part is None:
        return folded
    axis, start, stop = part
    return (stop - start, folded[1]) if axis == 0 else (folded[0], stop - start)


def read_matrix(leaf: Any, ref: MatrixRef) -> np.ndarray:
    """The matrix `ref` of a leaf, in stored dtype; a view where the storage allows it.

    Args:
      leaf: an array of the whole leaf, or a lazy leaf whose `leaf[i]` is batch entry i (the whole if unstacked).
    """
    if not hasattr(leaf, "__array__"):
        entry = np.asarray(leaf[ref.index])
    elif ref.view.batch_axes:
        entry = np.asarray(leaf[np.unravel_index(ref.index, leaf.shape[:ref.view.batch_axes])])
    else:
        entry = np.asarray(leaf)
    return _part(entry.reshape(math.prod(entry.shape[:ref.view.row_axes]), -1), ref.view)


def writable_matrix(leaf: np.ndarray, ref: MatrixRef) -> np.ndarray:
    """A view of the C-ordered array `leaf` through which the matrix `ref` is put back."""
    rows = math.prod(leaf.shape[ref.view.batch_axes:ref.view.batch_axes + ref.view.row_axes])
    entries = math.prod(leaf.shape[:ref.view.batch_axes])
    return _part(leaf.reshape(entries, rows, -1, copy=False)[ref.index], ref.view)


def _part(matrix: np.ndarray, view: View) -> np.ndarray:
    if view.part is None:
        return matrix
    axis, start, stop = view.part
    return matrix[start:stop] if axis == 0 else matrix[:, start:stop]


def delta(base: Mapping[str, Any], ft: Mapping[str, Any], ref: MatrixRef) -> np.ndarray:
    """ΔW = f32(ft) − f32(base), float32 `(m, n)`."""
    tuned = read_matrix(ft[ref.path], ref).astype(np.float32)
    return np.subtract(tuned, read_matrix(base[ref.path], ref), out=tuned, dtype=np.float32)


def release(leaf: Any, ref: MatrixRef) -> None:
    """Let a lazy leaf drop the memory pages of an entry that has been used."""
    if hasattr(leaf, "release"):
        leaf.release(ref.index)


def content_hash(matrix: np.ndarray) -> str:
    """XXH3 (128 bits) of shape, dtype and bytes of a matrix as stored: it finds what changed, and is no signature."""
    digest = xxhash.xxh3_128(f"{matrix.shape} {matrix.dtype}".encode())
    step = max(HASHED // max(matrix[0].size, 1), 1)
    for start in range(0, len(matrix), step):
        digest.update(upright(matrix[start:start + step]).view(np.uint8).data)
    return digest.hexdigest()


def upright(matrix: np.ndarray) -> np.ndarray:
    """The matrix row after row: itself if it lies so, else a copy, made some columns at a time so that reads stay in the cache."""
    if matrix.flags.c_contiguous:
        return matrix
    turned = np.empty(matrix.shape, matrix.dtype)
    for start in range(0, matrix.shape[1], TURNED):
        turned[:, start:start + TURNED] = matrix[:, start:start + TURNED]
    return turned
