"""ΔW of every selected matrix, decomposed once: a thread pool over matrices, or stacks over a mesh."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jaxtrunc.core.chunks import core_count
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.mesh import spectral_mesh
from jaxtrunc.core.progress import Advance
from jaxtrunc.spectral.backends import Backend, find_backend
from jaxtrunc.spectral.backends.rows import by_rows, decompose_rows
from jaxtrunc.spectral.decomposition import Decomposition, MatrixSVD, numerical_rank, tree_order
from jaxtrunc.spectral.owned import Leaves, owned
from jaxtrunc.spectral.view import MatrixRef, content_hash, read_matrix, release

ZERO = 1e-8
"""A ΔW without a larger entry counts as zero."""

@dataclass(frozen=True, eq=False)
class Input:
    """One ΔW, read: float32 tall orientation `(long, r)`, and what is recorded of its two sources."""

    ref: MatrixRef
    tall: np.ndarray
    facts: dict[str, Any]


def decompose(base: Leaves, ft: Leaves, refs: Sequence[MatrixRef], *, backend: str = "gram64", workers: int | None = None,
              mesh: Mesh | None = None, advance: Advance | None = None) -> Decomposition:
    """Decompose every ΔW = f32(ft) − f32(base) named by `refs`; of several processes, each those that are its own.

    Args:
      base, ft: path → leaf: a stacked array, a lazy leaf whose `leaf[i]` is batch entry i, or a JAX array sharded over the
        devices of all processes, which is laid out anew without gathering a matrix.
      backend: gram64, host, device, randomized or gram32.
      workers: threads over matrices, one BLAS thread each being best; default one per core.
      mesh: for the device backend, of this process's devices; default all of them.
      advance: called once per matrix.

    Raises:
      InputError: shapes differ between base and ft, or ΔW is not finite.
    """
    found = dict(each(base, ft, refs, backend=backend, workers=workers, mesh=mesh, advance=advance))
    ordered = sorted(found, key=tree_order)
    return Decomposition(backend, {ref.name: svd for ref in ordered if (svd := found[ref]) is not None},
                         {ref.name: ref for ref in ordered if found[ref] is None})


def each(base: Leaves, ft: Leaves, refs: Sequence[MatrixRef], *, backend: str = "gram64", workers: int | None = None,
         mesh: Mesh | None = None, advance: Advance | None = None) -> Iterator[tuple[MatrixRef, MatrixSVD | None]]:
    """As `decompose`, but yields each matrix as it is finished; None stands for a zero ΔW."""
    check_shapes(base, ft, refs)
    chosen = find_backend(backend)
    for own_base, own_ft, own in owned(base, ft, refs):
        if chosen.stacked:
            results = _stacked(own_base, own_ft, own, chosen, mesh or spectral_mesh())
        else:
            results = _pooled(own_base, own_ft, own, chosen, workers or core_count())
        for ref, svd in results:
            if advance:
                advance(1, ref.name)
            yield ref, svd


def check_shapes(base: Leaves, ft: Leaves, refs: Iterable[MatrixRef]) -> None:
    """Raise `InputError` naming the first path that is missing from a tree or differs in shape between the two."""
    for ref in refs:
        for side, leaves in (("base", base), ("fine-tuned", ft)):
            if ref.path not in leaves:
                raise InputError(f"{ref.path}: not in the {side} model")
        ours, theirs = tuple(base[ref.path].shape), tuple(ft[ref.path].shape)
        if ours != theirs:
            raise InputError(f"{ref.path}: shape {ours} in the base model, {theirs} in the fine-tuned one; they must agree")


def is_zero(update: np.ndarray) -> bool:
    """Whether a ΔW counts as zero and is skipped."""
    return float(np.abs(update).max()) <= ZERO


def _pooled(base: Leaves, ft: Leaves, refs: Sequence[MatrixRef], backend: Backend,
            workers: int) -> Iterator[tuple[MatrixRef, MatrixSVD | None]]:
    def task(ref: MatrixRef) -> tuple[MatrixRef, MatrixSVD | None]:
        given = _read(base, ft, ref)
        return ref, None if is_zero(given.tall) else _finish(given, *backend.factor(given.tall), leading=backend.leading)

    pool = ThreadPoolExecutor(workers)
    try:
        for future in as_completed([pool.submit(task, ref) for ref in refs]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _stacked(base: Leaves, ft: Leaves, refs: Sequence[MatrixRef], backend: Backend,
             mesh: Mesh) -> Iterator[tuple[MatrixRef, MatrixSVD | None]]:
    """One matrix per device at a time, or a long one over all: one compilation per shape, and memory for one matrix each."""
    shapes: dict[tuple[int, int], list[MatrixRef]] = defaultdict(list)
    for ref in refs:
        shapes[max(ref.shape), min(ref.shape)].append(ref)
    for shape, group in shapes.items():
        together = 1 if by_rows(shape) else mesh.size
        for start in range(0, len(group), together):
            inputs = [_read(base, ft, ref) for ref in group[start:start + together]]
            yield from _by_rows(inputs[0], mesh) if by_rows(shape) else _stack(inputs, backend, mesh)


def _stack(inputs: Sequence[Input], backend: Backend, mesh: Mesh) -> Iterator[tuple[MatrixRef, MatrixSVD | None]]:
    values, bases = backend.factor(np.stack([given.tall for given in inputs]), mesh)
    for given, s, basis in zip(inputs, values, bases, strict=True):
        yield given.ref, None if is_zero(given.tall) else _finish(given, s, basis)


def _by_rows(given: Input, mesh: Mesh) -> Iterator[tuple[MatrixRef, MatrixSVD | None]]:
    if is_zero(given.tall):
        yield given.ref, None
        return
    s, basis = decompose_rows(given.tall, mesh)
    yield given.ref, _finish(given, s, basis)


def _read(base: Leaves, ft: Leaves, ref: MatrixRef) -> Input:
    before, after = read_matrix(base[ref.path], ref), read_matrix(ft[ref.path], ref)
    tuned = after.astype(np.float32, copy=False)
    update = tuned - before.astype(np.float32, copy=False)
    facts: dict[str, Any] = {
        "base_hash": content_hash(before), "ft_hash": content_hash(after),
        "zero_share": 1 - int(np.count_nonzero(update)) / update.size, "max_abs": float(np.abs(update).max()),
        "rms_w": rms(tuned), "frobenius": rms(update) * update.size**0.5,
    }
    if not np.isfinite(facts["max_abs"]):
        raise InputError(f"{ref.name}: the difference between fine-tuned and base holds NaN or Inf; mend the checkpoints")
    release(base[ref.path], ref)
    release(ft[ref.path], ref)
    return Input(ref, update if ref.shape[1] <= ref.shape[0] else update.T, facts)


def rms(matrix: np.ndarray) -> float:
    """Root mean square, accumulated in float64."""
    return float(np.sqrt(np.mean(np.square(matrix, dtype=np.float64))))


def _finish(given: Input, s: np.ndarray, basis: np.ndarray, *, leading: bool = False) -> MatrixSVD:
    rank = numerical_rank(s, given.ref.shape, given.facts["rms_w"], basis.dtype == np.float64)
    side = "out" if given.ref.shape[1] <= given.ref.shape[0] else "in"
    return MatrixSVD(given.ref.name, given.ref.shape, s, rank, ref=given.ref, side=side, read_basis=lambda: basis,
                     leading=leading, **given.facts)
