"""A decomposition on disk: bases in safetensors chunks, one JSON line per matrix; readable while it grows.

    decomposition.json             format version, backend, how many components were asked for, what was measured on the way
    matrices-PPP.jsonl             per matrix: name, place, spectrum, hashes, and the chunk that holds its basis
    chunk-PPP-00000.safetensors …

PPP is the process that wrote the part: each appends to its own, and every part is read whichever process asks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from safetensors.numpy import save_file

from jaxtrunc.core import jsonio, processes
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.progress import Advance
from jaxtrunc.spectral.backends import BACKENDS
from jaxtrunc.spectral.decompose import Method, each
from jaxtrunc.spectral.decomposition import Decomposition, MatrixSVD, tree_order
from jaxtrunc.spectral.inputs import read_input
from jaxtrunc.spectral.lines import REMEDY, from_line, to_line
from jaxtrunc.spectral.owned import owned
from jaxtrunc.spectral.view import MatrixRef, content_hash, read_matrix

FORMAT = 3
CHUNK_BYTES = 64 << 20
"""A kill loses at most the matrices of one chunk per process."""

HEAD, HEAD_KEYS = "decomposition.json", ("format", "backend", "leading", "measured")


class Writer:
    """Appends matrices to one part of a directory made by `begin`; `close` writes the last chunk."""

    def __init__(self, directory: Path, part: int = 0):
        self._directory, self._part = directory, part
        self._pending: list[tuple[MatrixRef, MatrixSVD | None]] = []
        self._bytes = 0
        numbers = [int(chunk.stem.rpartition("-")[2]) for chunk in directory.glob(f"chunk-{part:03d}-*.safetensors")]
        self._number = max(numbers, default=-1) + 1

    def add(self, ref: MatrixRef, svd: MatrixSVD | None) -> None:
        """Take one finished matrix; None for a zero ΔW."""
        self._pending.append((ref, svd))
        self._bytes += svd.basis.nbytes if svd else 0
        if self._bytes >= CHUNK_BYTES:
            self.close()

    def close(self) -> None:
        """Write what is pending: the chunk first, then the lines that point into it."""
        chunk = self._directory / f"chunk-{self._part:03d}-{self._number:05d}.safetensors"
        bases = {ref.name: np.ascontiguousarray(svd.basis) for ref, svd in self._pending if svd}
        if bases:
            staged = chunk.with_name(f".{chunk.name}.staged")
            save_file(bases, staged)
            staged.chmod(0o644)
            staged.replace(chunk)
            self._number += 1
        for ref, svd in self._pending:
            jsonio.append_line(self._directory / f"matrices-{self._part:03d}.jsonl", to_line(ref, svd, chunk.name))
        self._pending, self._bytes = [], 0


def begin(directory: Path, head: Decomposition) -> None:
    """Make a directory ready to be written to, by one process alone: what a kill left half-done is removed.

    Of `head` only what is known beforehand is written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    named = set()
    for part in parts(directory):
        kept = jsonio.read_lines(part)
        jsonio.rewrite_lines(part, kept)  # without a line torn by a kill
        named |= {line["chunk"] for line in kept}
    for chunk in (*directory.glob("chunk-*"), *directory.glob(".chunk-*")):
        if chunk.name not in named:
            chunk.unlink()  # killed between the chunk and its lines
    write_head(directory, head)


def write_head(directory: Path, head: Decomposition) -> None:
    """What holds for all matrices."""
    values = (FORMAT, head.backend, head.leading, head.measured)
    jsonio.write_json(directory / HEAD, dict(zip(HEAD_KEYS, values, strict=True)))


def parts(directory: Path) -> list[Path]:
    """The line files of a stored decomposition, one per process that wrote to it."""
    return sorted(directory.glob("matrices-*.jsonl"))


def save(decomposition: Decomposition, directory: Path) -> None:
    """Write a decomposition chunk by chunk, from one process; the caller stages the directory."""
    begin(directory, decomposition)
    writer = Writer(directory)
    for svd in decomposition.matrices.values():
        writer.add(svd.ref, svd)
    for ref in decomposition.skipped.values():
        writer.add(ref, None)
    writer.close()


def load(directory: Path) -> Decomposition:
    """Read a decomposition, whichever processes wrote it; bases stay on disk until they are used.

    Raises:
      InputError: the directory is not a decomposition, is of another format, is damaged, or lacks a chunk.
    """
    head = read_head(directory)
    found = [pair for part in parts(directory) for pair in _read_part(part)]
    found.sort(key=lambda pair: tree_order(pair[0]))
    return replace(head, matrices={ref.name: svd for ref, svd in found if svd},
                   skipped={ref.name: ref for ref, svd in found if not svd})


def read_head(directory: Path) -> Decomposition:
    """How a decomposition was made, without its matrices; `InputError` if it is of another format or unknown to this version."""
    head = jsonio.read_json(directory / HEAD)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise InputError(f"{directory / HEAD}: format {head.get('format') if isinstance(head, dict) else head}, expected "
                         f"{FORMAT}; decompose again with this version")
    if str(head.get("backend")) not in BACKENDS:
        raise InputError(f"{directory / HEAD}: backend {head.get('backend')}, expected one of {', '.join(BACKENDS)}; {REMEDY}")
    leading, measured = head.get("leading"), head.get("measured", {})
    if not head.keys() <= set(HEAD_KEYS) or not isinstance(leading, int | None) or not isinstance(measured, dict):
        raise InputError(f"{directory / HEAD}: damaged; {REMEDY}")
    return Decomposition(head["backend"], leading=leading, measured=measured)


def _read_part(part: Path) -> list[tuple[MatrixRef, MatrixSVD | None]]:
    try:
        return [from_line(part.parent, line) for line in jsonio.read_lines(part)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{part}: a line is damaged ({error}); {REMEDY}") from None


def decompose_into(directory: Path, base: Mapping[str, Any], ft: Mapping[str, Any], refs: Sequence[MatrixRef], *,
                   backend: str = "gram64", leading: int | None = None, eigensolver: str | None = None,
                   workers: int | None = None, mesh: Mesh | None = None, advance: Advance | None = None) -> Decomposition:
    """As `decompose`, but each chunk is stored as soon as it is full, and what `directory` already holds is not redone.

    Several processes give the same directory, on a file system they share; each writes its own matrices, and all return the
    whole. A decomposition begun by another number of processes is carried on.

    Raises:
      InputError: what is stored was made by another backend, with another `leading`, or from other weights.
    """
    head = Decomposition(backend, leading=leading)
    stored = _already_stored(directory, base, ft, refs, head)
    if advance and stored:
        advance(len(stored), "already stored")
    processes.wait_for_all("stored matrices read")
    if processes.is_main():
        begin(directory, head)
    processes.wait_for_all("decomposition begun")
    missing, mine = [ref for ref in refs if ref.name not in stored], 0
    writer = Writer(directory, jax.process_index())
    method = Method(backend, leading, eigensolver, workers, mesh)
    try:
        for ref, svd in each(base, ft, missing, method=method, measured=head.measured, advance=advance):
            writer.add(ref, svd)
            mine += 1
    finally:
        writer.close()  # an interruption or an unsound matrix loses none of the finished ones
    if processes.is_main():
        write_head(directory, head)
    processes.wait_for_all("every matrix stored")
    if advance and mine < len(missing):
        advance(len(missing) - mine, "by the other processes")
    return load(directory)


def _already_stored(directory: Path, base: Mapping[str, Any], ft: Mapping[str, Any], refs: Sequence[MatrixRef],
                    head: Decomposition) -> set[str]:
    if not (directory / HEAD).exists():
        return set()
    earlier = load(directory)
    head.measured |= earlier.measured
    for option, begun, now in (("--backend", earlier.backend, head.backend), ("--leading", earlier.leading, head.leading)):
        if begun != now:
            raise InputError(f"{directory}: begun with {option} {begun}, not {now}; give the same one or begin anew")
    asked = {ref.name: ref for ref in refs}
    extra = [name for name in (*earlier.matrices, *earlier.skipped) if name not in asked]
    if extra:
        raise InputError(f"{directory}: holds {extra[0]}, which is not selected now; give the same -i and -e or begin anew")
    known = [asked[name] for name in (*earlier.matrices, *earlier.skipped)]
    for own_base, own_ft, own in owned(base, ft, known):  # each process checks those it can read
        for ref in own:
            if not _unchanged(earlier, ref, own_base, own_ft):
                raise InputError(f"{directory}: {ref.name} was decomposed from other weights; begin anew")
    return {ref.name for ref in known}


def _unchanged(earlier: Decomposition, ref: MatrixRef, base: Mapping[str, Any], ft: Mapping[str, Any]) -> bool:
    svd = earlier.matrices.get(ref.name)
    if svd is None:
        return read_input(base, ft, ref).is_zero
    hashes = tuple(content_hash(read_matrix(leaves[ref.path], ref)) for leaves in (base, ft))
    return svd.ref == ref and hashes == (svd.base_hash, svd.ft_hash)
