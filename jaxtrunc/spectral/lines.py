"""One decomposed matrix as one JSON line, which names the chunk with its basis and carries a hash of itself."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral.decomposition import MatrixSVD
from jaxtrunc.spectral.view import MatrixRef, View, content_hash

REMEDY = "decompose again, or again with --resume, which makes only what is damaged anew"

FACTS = ("frobenius", "side", "base_hash", "ft_hash", "zero_share", "max_abs", "rms_w", "rank", "leading")


def to_line(ref: MatrixRef, svd: MatrixSVD | None, chunk: str) -> dict[str, Any]:
    """The line of a matrix whose basis is in the file `chunk`; None for a zero ΔW."""
    view = ref.view
    line = {"name": ref.name, "path": ref.path, "index": ref.index, "shape": ref.shape, "batch_axes": view.batch_axes,
            "row_axes": view.row_axes, "part": view.part}
    if svd is None:
        line |= {"chunk": None}
    else:
        facts = {fact: getattr(svd, fact) for fact in FACTS}
        line |= {"chunk": chunk, "s": svd.s, "basis_hash": content_hash(svd.basis)} | facts
    return line | {"line_hash": _line_hash(line)}


def from_line(directory: Path, line: dict[str, Any]) -> tuple[MatrixRef, MatrixSVD | None]:
    """The matrix of a line; its basis is read from `directory` when it is used.

    Raises:
      KeyError, TypeError, ValueError, AttributeError: the line is not what `to_line` wrote.
      InputError: the chunk is missing; when the basis is used: it is damaged.
    """
    if line.get("line_hash") != _line_hash({key: value for key, value in line.items() if key != "line_hash"}):
        raise ValueError(f"{line['name']}: its hash is another")
    m, n = line["shape"]
    view = View(line["batch_axes"], line["row_axes"], tuple(line["part"]) if line["part"] else None)
    if not isinstance(line["name"], str) or not isinstance(line["path"], str) or type(line["index"]) is not int:
        raise ValueError("name, path or index is of another type")
    ref = MatrixRef(line["name"], line["path"], line["index"], view, (m, n))
    if line["chunk"] is None:
        return ref, None
    chunk = directory / Path(line["chunk"]).name
    if not chunk.is_file():
        raise InputError(f"{chunk}: missing, though it should hold the basis of {ref.name}; {REMEDY}")
    s = np.array(line["s"], np.float64)
    if s.ndim != 1 or not np.isfinite(s).all() or type(line["rank"]) is not int or not 0 <= line["rank"] <= min(m, n):
        raise ValueError(f"{ref.name}: its spectrum or rank is none")
    return ref, MatrixSVD(ref.name, ref.shape, s, ref=ref, **{fact: line[fact] for fact in FACTS},
                          read_basis=lambda: _read_basis(chunk, ref, len(s), line["basis_hash"]))


def _line_hash(line: dict[str, Any]) -> str:
    return hashlib.sha256(jsonio.dumps(line).encode()).hexdigest()


def _read_basis(chunk: Path, ref: MatrixRef, count: int, known: str) -> np.ndarray:
    try:
        with safe_open(chunk, framework="np") as file:
            basis = file.get_tensor(ref.name)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{chunk}: cannot read the basis of {ref.name} ({error}); {REMEDY}") from None
    if basis.shape != (min(ref.shape), count) or content_hash(basis) != known:
        raise InputError(f"{chunk}: the basis of {ref.name} is damaged; {REMEDY}")
    return basis
