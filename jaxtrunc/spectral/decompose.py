"""ΔW of every selected matrix, decomposed once: a thread pool over matrices, or stacks over a mesh."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import numpy as np
from jax.sharding import Mesh

from jaxtrunc.core.chunks import core_count
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.mesh import spectral_mesh
from jaxtrunc.core.progress import Advance
from jaxtrunc.spectral.backends import Backend, find_backend
from jaxtrunc.spectral.backends.eigensolver import ROUTES, Eigensolver, Measured
from jaxtrunc.spectral.backends.rows import by_rows, decompose_rows
from jaxtrunc.spectral.decomposition import Decomposition, MatrixSVD, numerical_rank, tree_order
from jaxtrunc.spectral.inputs import Input, read_input
from jaxtrunc.spectral.owned import Leaves, owned
from jaxtrunc.spectral.view import MatrixRef


@dataclass(frozen=True)
class Method:
    """How ΔW is decomposed; see `decompose`."""

    backend: str = "gram64"
    leading: int | None = None
    eigensolver: str | None = None
    workers: int | None = None
    mesh: Mesh | None = None


def decompose(base: Leaves, ft: Leaves, refs: Sequence[MatrixRef], *, backend: str = "gram64", leading: int | None = None,
              eigensolver: str | None = None, workers: int | None = None, mesh: Mesh | None = None,
              advance: Advance | None = None) -> Decomposition:
    """Decompose every ΔW = f32(ft) − f32(base) named by `refs`; of several processes, each those that are its own.

    Args:
      base, ft: path → leaf: a stacked array, a lazy leaf whose `leaf[i]` is batch entry i, or a JAX array sharded over the
        devices of all processes, which is laid out anew without gathering a matrix.
      backend: gram64, host, device, randomized or gram32.
      leading: only so many components of each matrix, the largest ones; gram64 finds them exactly. Default: all that the
        backend knows.
      eigensolver: for the device backend, where eigenvectors of Gram matrices are found, device or host; default: where a
        measurement at the first matrices of each size says it is faster.
      workers: threads over matrices, one BLAS thread each being best; default one per core.
      mesh: for the device backend, of this process's devices; default all of them.
      advance: called once per matrix.

    Raises:
      InputError: shapes differ between base and ft, ΔW is not finite, or the method makes no sense.
    """
    measured: Measured = {}
    found = dict(each(base, ft, refs, Method(backend, leading, eigensolver, workers, mesh), measured, advance))
    ordered = sorted(found, key=tree_order)
    return Decomposition(backend, {ref.name: svd for ref in ordered if (svd := found[ref]) is not None},
                         {ref.name: ref for ref in ordered if found[ref] is None}, leading, measured)


def each(base: Leaves, ft: Leaves, refs: Sequence[MatrixRef], method: Method, measured: Measured,
         advance: Advance | None = None) -> Iterator[tuple[MatrixRef, MatrixSVD | None]]:
    """As `decompose`, but yields each matrix as it is finished; None stands for a zero ΔW. `measured` is added to."""
    check_shapes(base, ft, refs)
    backend = check_method(method)
    eigensolver = Eigensolver(method.eigensolver, measured)
    for own_base, own_ft, own in owned(base, ft, refs):
        if backend.stacked:
            results = _stacked(own_base, own_ft, own, method, backend, eigensolver)
        else:
            results = _pooled(own_base, own_ft, own, method, backend)
        for ref, svd in results:
            if advance:
                advance(1, ref.name)
            yield ref, svd


def check_method(method: Method) -> Backend:
    """The backend of a method; `InputError` if it is unknown or does not go with the rest."""
    backend = find_backend(method.backend)
    if method.leading is not None and method.leading < 1:
        raise InputError(f"--leading: expected a number of components of at least 1, found {method.leading}")
    if method.eigensolver is not None and (method.eigensolver not in ROUTES or not backend.stacked):
        raise InputError(f"--eigensolver {method.eigensolver}: expected {' or '.join(ROUTES)}, together with --backend device")
    return backend


def check_shapes(base: Leaves, ft: Leaves, refs: Iterable[MatrixRef]) -> None:
    """Raise `InputError` naming the first path that is missing from a tree or differs in shape between the two."""
    for ref in refs:
        for side, leaves in (("base", base), ("fine-tuned", ft)):
            if ref.path not in leaves:
                raise InputError(f"{ref.path}: not in the {side} model")
        ours, theirs = tuple(base[ref.path].shape), tuple(ft[ref.path].shape)
        if ours != theirs:
            raise InputError(f"{ref.path}: shape {ours} in the base model, {theirs} in the fine-tuned one; they must agree")


def _pooled(base: Leaves, ft: Leaves, refs: Sequence[MatrixRef], method: Method,
            backend: Backend) -> Iterator[tuple[MatrixRef, MatrixSVD | None]]:
    def task(ref: MatrixRef) -> tuple[MatrixRef, MatrixSVD | None]:
        given = read_input(base, ft, ref)
        if given.is_zero:
            return ref, None
        return ref, _finish(given, *backend.factor(given.tall, method.leading), leading=backend.leading)

    pool = ThreadPoolExecutor(method.workers or core_count())
    try:
        for future in as_completed([pool.submit(task, ref) for ref in refs]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _stacked(base: Leaves, ft: Leaves, refs: Sequence[MatrixRef], method: Method, backend: Backend,
             eigensolver: Eigensolver) -> Iterator[tuple[MatrixRef, MatrixSVD | None]]:
    """One matrix per device at a time, or a long one over all: one compilation per shape, and memory for one matrix each."""
    mesh = method.mesh or spectral_mesh()
    shapes: dict[tuple[int, int], list[MatrixRef]] = defaultdict(list)
    for ref in refs:
        shapes[max(ref.shape), min(ref.shape)].append(ref)
    for shape, group in shapes.items():
        together = 1 if by_rows(shape) else mesh.size
        for start in range(0, len(group), together):
            inputs = [read_input(base, ft, ref) for ref in group[start:start + together]]
            if by_rows(shape):
                yield inputs[0].ref, _by_rows(inputs[0], mesh, method.leading)
            else:
                s, bases = backend.factor(np.stack([given.tall for given in inputs]), mesh, method.leading, eigensolver)
                yield from _finished(inputs, s, bases)


def _finished(inputs: Sequence[Input], values: np.ndarray, bases: np.ndarray) -> Iterator[tuple[MatrixRef, MatrixSVD | None]]:
    for given, s, basis in zip(inputs, values, bases, strict=True):
        yield given.ref, None if given.is_zero else _finish(given, s, basis)


def _by_rows(given: Input, mesh: Mesh, leading: int | None) -> MatrixSVD | None:
    if given.is_zero:
        return None
    s, basis = decompose_rows(given.tall, mesh)
    return _finish(given, s[:leading], basis[:, :leading])


def _finish(given: Input, s: np.ndarray, basis: np.ndarray, *, leading: bool = False) -> MatrixSVD:
    rank = numerical_rank(s, given.ref.shape, given.facts["rms_w"], basis.dtype == np.float64)
    side = "out" if given.ref.shape[1] <= given.ref.shape[0] else "in"
    return MatrixSVD(given.ref.name, given.ref.shape, s, rank, ref=given.ref, side=side, read_basis=lambda: basis,
                     leading=leading, **given.facts)
