"""A decomposition on disk: bases in safetensors chunks, one JSON line per matrix; readable while it grows.

    decomposition.json     format version, backend
    matrices.jsonl         per matrix: name, place, spectrum, hashes, and the chunk that holds its basis
    chunk-00000.safetensors …
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Mesh
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.progress import Advance
from jaxtrunc.spectral.decompose import each, is_zero
from jaxtrunc.spectral.decomposition import Decomposition, MatrixSVD, tree_order
from jaxtrunc.spectral.view import MatrixRef, View, content_hash, delta, read_matrix

FORMAT = 1
CHUNK_BYTES = 64 << 20
"""A kill loses at most the matrices of one chunk."""

HEAD, LINES = "decomposition.json", "matrices.jsonl"


class Writer:
    """Appends matrices to a directory; `close` writes the last chunk. Goes on after a kill where it was."""

    def __init__(self, directory: Path, backend: str):
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._pending: list[tuple[MatrixRef, MatrixSVD | None]] = []
        self._bytes = 0
        kept = jsonio.read_lines(directory / LINES)
        jsonio.rewrite_lines(directory / LINES, kept)  # without a line torn by a kill
        self._stored = len(kept)
        for orphan in {*directory.glob("chunk-*")} - {directory / line["chunk"] for line in kept if line["chunk"]}:
            orphan.unlink()  # killed between the chunk and its lines
        jsonio.write_json(directory / HEAD, {"format": FORMAT, "backend": backend})

    def add(self, ref: MatrixRef, svd: MatrixSVD | None) -> None:
        """Take one finished matrix; None for a zero ΔW."""
        self._pending.append((ref, svd))
        self._bytes += svd.basis.nbytes if svd else 0
        if self._bytes >= CHUNK_BYTES:
            self.close()

    def close(self) -> None:
        """Write what is pending: the chunk first, then the lines that point into it."""
        chunk = self._directory / f"chunk-{self._stored:05d}.safetensors"
        bases = {ref.name: np.ascontiguousarray(svd.basis) for ref, svd in self._pending if svd}
        if bases:
            staged = chunk.with_name(f".{chunk.name}.staged")
            save_file(bases, staged)
            staged.chmod(0o644)
            staged.replace(chunk)
        for ref, svd in self._pending:
            jsonio.append_line(self._directory / LINES, _line(ref, svd, chunk.name))
        self._stored += len(self._pending)
        self._pending, self._bytes = [], 0


def save(decomposition: Decomposition, directory: Path) -> None:
    """Write a decomposition chunk by chunk; the caller stages the directory."""
    writer = Writer(directory, decomposition.backend)
    for svd in decomposition.matrices.values():
        writer.add(svd.ref, svd)
    for ref in decomposition.skipped.values():
        writer.add(ref, None)
    writer.close()


def load(directory: Path) -> Decomposition:
    """Read a decomposition; bases stay on disk until they are used.

    Raises:
      InputError: the directory is not a decomposition, is of another format, or lacks a chunk.
    """
    head = jsonio.read_json(directory / HEAD)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise InputError(f"{directory / HEAD}: format {head.get('format') if isinstance(head, dict) else head}, expected "
                         f"{FORMAT}; decompose again with this version")
    try:
        found = [_parse(directory, line) for line in jsonio.read_lines(directory / LINES)]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{directory / LINES}: a line is damaged ({error!r}); decompose again") from None
    found.sort(key=lambda pair: tree_order(pair[0]))
    return Decomposition(str(head["backend"]), {ref.name: svd for ref, svd in found if svd},
                         {ref.name: ref for ref, svd in found if not svd})


def decompose_into(directory: Path, base: Mapping[str, Any], ft: Mapping[str, Any], refs: Sequence[MatrixRef], *,
                   backend: str = "gram64", workers: int | None = None, mesh: Mesh | None = None,
                   advance: Advance | None = None) -> Decomposition:
    """As `decompose`, but each chunk is stored as soon as it is full, and what `directory` already holds is not redone.

    Raises:
      InputError: what is stored was made by another backend or from other weights.
    """
    stored = _already_stored(directory, base, ft, refs, backend)
    if advance and stored:
        advance(len(stored), "already stored")
    writer = Writer(directory, backend)
    missing = [ref for ref in refs if ref.name not in stored]
    for ref, svd in each(base, ft, missing, backend=backend, workers=workers, mesh=mesh, advance=advance):
        writer.add(ref, svd)
    writer.close()
    return load(directory)


def _already_stored(directory: Path, base: Mapping[str, Any], ft: Mapping[str, Any], refs: Sequence[MatrixRef],
                    backend: str) -> set[str]:
    if not (directory / HEAD).exists():
        return set()
    earlier = load(directory)
    if earlier.backend != backend:
        raise InputError(f"{directory}: begun with --backend {earlier.backend}, not {backend}; give the same one or begin anew")
    asked = {ref.name: ref for ref in refs}
    extra = [name for name in (*earlier.matrices, *earlier.skipped) if name not in asked]
    if extra:
        raise InputError(f"{directory}: holds {extra[0]}, which is not selected now; give the same -i and -e or begin anew")
    for name in (*earlier.matrices, *earlier.skipped):
        if not _unchanged(earlier, asked[name], base, ft):
            raise InputError(f"{directory}: {name} was decomposed from other weights; begin anew")
    return {*earlier.matrices, *earlier.skipped}


def _unchanged(earlier: Decomposition, ref: MatrixRef, base: Mapping[str, Any], ft: Mapping[str, Any]) -> bool:
    svd = earlier.matrices.get(ref.name)
    if svd is None:
        return is_zero(delta(base, ft, ref))
    hashes = tuple(content_hash(read_matrix(leaves[ref.path], ref)) for leaves in (base, ft))
    return svd.ref == ref and hashes == (svd.base_hash, svd.ft_hash)


def _line(ref: MatrixRef, svd: MatrixSVD | None, chunk: str) -> dict[str, Any]:
    view = ref.view
    place = {"name": ref.name, "path": ref.path, "index": ref.index, "shape": ref.shape, "batch_axes": view.batch_axes,
             "row_axes": view.row_axes, "part": view.part}
    if svd is None:
        return place | {"chunk": None}
    return place | {
        "chunk": chunk, "s": svd.s, "rank": svd.rank, "frobenius": svd.frobenius, "side": svd.side,
        "base_hash": svd.base_hash, "ft_hash": svd.ft_hash, "zero_share": svd.zero_share, "max_abs": svd.max_abs,
        "rms_w": svd.rms_w, "leading": svd.leading, "basis_hash": content_hash(svd.basis),
    }


def _parse(directory: Path, line: dict[str, Any]) -> tuple[MatrixRef, MatrixSVD | None]:
    m, n = line["shape"]
    view = View(line["batch_axes"], line["row_axes"], tuple(line["part"]) if line["part"] else None)
    ref = MatrixRef(line["name"], line["path"], line["index"], view, (m, n))
    if line["chunk"] is None:
        return ref, None
    chunk = directory / Path(line["chunk"]).name
    if not chunk.exists():
        raise InputError(f"{chunk}: missing, though {LINES} names it; decompose again")
    s = np.array(line["s"], np.float64)
    facts = {key: line[key] for key in ("frobenius", "side", "base_hash", "ft_hash", "zero_share", "max_abs", "rms_w", "rank",
                                      "leading")}
    return ref, MatrixSVD(ref.name, ref.shape, s, ref=ref, **facts,
                          read_basis=lambda: _read_basis(chunk, ref, len(s), line["basis_hash"]))


def _read_basis(chunk: Path, ref: MatrixRef, count: int, known: str) -> np.ndarray:
    try:
        with safe_open(chunk, framework="np") as file:
            basis = file.get_tensor(ref.name)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{chunk}: cannot read the basis of {ref.name} ({error}); decompose again") from None
    if basis.shape != (min(ref.shape), count) or content_hash(basis) != known:
        raise InputError(f"{chunk}: the basis of {ref.name} is damaged; decompose again")
    return basis
