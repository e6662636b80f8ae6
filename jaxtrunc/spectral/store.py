"""A decomposition on disk: one safetensors file per matrix (s, basis) and one JSON line of facts, written as each is done."""

import dataclasses
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral.decomposition import Decomposition, MatrixSVD, tree_order
from jaxtrunc.spectral.view import MatrixRef, View

INDEX = "matrices.jsonl"
_FACTS = ("rank", "frobenius", "side", "base_hash", "ft_hash", "zero_share", "max_abs", "rms_w")


class Store:
    """Writes matrices one by one into a directory, and knows which an interrupted attempt has finished."""

    def __init__(self, directory: Path, backend: str):
        self._directory, self._backend = directory, backend
        self._lines = jsonio.read_lines(directory / INDEX)
        if any(line["backend"] != backend for line in self._lines):
            raise InputError(f"{directory}: an interrupted decomposition used another backend ({self._lines[0]['backend']}); "
                             "give the same --backend")
        jsonio.rewrite_lines(directory / INDEX, self._lines)  # without a torn last line

    def missing(self, refs: Sequence[MatrixRef]) -> list[MatrixRef]:
        """The references that are not stored yet."""
        done = {_ref(line) for line in self._lines}
        return [ref for ref in refs if ref not in done]

    def add(self, ref: MatrixRef, svd: MatrixSVD | None) -> None:
        """Store one matrix; None notes that its ΔW is zero."""
        line: dict[str, Any] = dataclasses.asdict(ref) | {"backend": self._backend, "file": None}
        if svd is not None:
            file = f"{len(self._lines):05d}.safetensors"
            save_file({"s": svd.s, "basis": np.ascontiguousarray(svd.basis)}, self._directory / file)
            line |= {"file": file} | {name: getattr(svd, name) for name in _FACTS}
        jsonio.append_line(self._directory / INDEX, line)
        self._lines.append(line)


def save(decomposition: Decomposition, directory: Path) -> None:
    """Write a whole decomposition into an existing directory."""
    store = Store(directory, decomposition.backend)
    pairs: Iterable[tuple[MatrixRef, MatrixSVD | None]] = [
        *((svd.ref, svd) for svd in decomposition.matrices.values()), *((ref, None) for ref in decomposition.skipped.values())]
    for ref, svd in pairs:
        store.add(ref, svd)


def load(directory: Path) -> Decomposition:
    """Read a decomposition; bases stay on disk until they are used.

    Raises:
      InputError: the index or one of the files is missing or damaged.
    """
    lines = jsonio.read_lines(directory / INDEX)
    if not lines:
        raise InputError(f"{directory / INDEX}: missing or empty; decompose again")
    lines.sort(key=lambda line: tree_order(_ref(line)))
    try:
        matrices = {line["name"]: _matrix(directory, line) for line in lines if line["file"]}
    except (KeyError, SafetensorError, OSError) as error:
        raise InputError(f"{directory}: a stored matrix cannot be read ({error}); decompose again") from None
    return Decomposition(lines[0]["backend"], matrices, {line["name"]: _ref(line) for line in lines if not line["file"]})


def _matrix(directory: Path, line: dict[str, Any]) -> MatrixSVD:
    ref, file = _ref(line), directory / line["file"]
    return MatrixSVD(ref.name, ref.shape, _tensor(file, "s"), ref=ref, read_basis=partial(_tensor, file, "basis"),
                     **{name: line[name] for name in _FACTS})


def _tensor(file: Path, name: str) -> np.ndarray:
    with safe_open(file, framework="numpy") as tensors:
        return tensors.get_tensor(name)


def _ref(line: dict[str, Any]) -> MatrixRef:
    view = line["view"]
    part = None if view["part"] is None else tuple(view["part"])
    return MatrixRef(line["name"], line["path"], line["index"], View(view["batch_axes"], view["row_axes"], part),
                     tuple(line["shape"]))
