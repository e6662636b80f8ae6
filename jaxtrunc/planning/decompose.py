"""Decomposition: one matrix per worker (or device) at a time, then the diagnostics of every spectrum."""

from collections.abc import Callable

from jaxtrunc.planning import flops
from jaxtrunc.planning.job import Job, Machine, Matrix
from jaxtrunc.planning.stage import MIB, Moment, Stage, operations
from jaxtrunc.spectral.backends.gram import ROWS
from jaxtrunc.spectral.backends.rows import by_rows
from jaxtrunc.spectral.store import CHUNK_BYTES

PROGRAM = 225 * MIB
"""Of the process with everything imported, on two CPU cores."""


def decompose_stage(job: Job, machine: Machine) -> Stage:
    """Peak while matrices are decomposed, and while their spectra are described."""
    host = PROGRAM + chunk_bytes(job)
    if machine.shared:
        device, host = 0, host + largest(job, in_hand, machine.workers)
    else:
        device = max(on_device(matrix, machine) for matrix in job.matrices)
        host += max(staged(matrix, machine) for matrix in job.matrices)
    spectra = PROGRAM + mapped_bytes(job) // machine.hosts + largest(job, described, machine.workers)
    return Stage("decomposition", operations(flops.decomposition(job.matrices)), (
        Moment("decomposition", device, host),
        Moment("spectra", 0, spectra),
    ), basis_bytes(job))


def in_hand(matrix: Matrix) -> int:
    """One worker of gram64: both stored matrices, ΔW in float32; some rows of it and of ΔW·V in float64; the Gram matrix, which
    becomes its vectors, their sorted copy and the two of the eigensolver."""
    return matrix.size * (matrix.stored + 4) + 2 * 8 * ROWS * matrix.short + 4 * 8 * matrix.short**2


def on_device(matrix: Matrix, machine: Machine) -> int:
    """ΔW in float32 and float64, ΔW·V, and six r × r arrays of the Gram matrix and its eigensolver."""
    devices = machine.devices_per_host if by_rows((matrix.long, matrix.short)) else 1
    return matrix.size * (4 + 2 * 8) // devices + 6 * 8 * matrix.short**2


def staged(matrix: Matrix, machine: Machine) -> int:
    """The host's side of it: one ΔW per device, read, stacked and padded, and the bases that come back."""
    together = 1 if by_rows((matrix.long, matrix.short)) else machine.devices_per_host
    return together * (matrix.size * (matrix.stored + 3 * 4) + 2 * 8 * matrix.short**2)


def described(matrix: Matrix) -> int:
    """One worker of the diagnostics: both matrices and ΔW in float32, rounding distances of them, squares in float64."""
    return 24 * matrix.size


def mapped_bytes(job: Job) -> int:
    """Pages of both checkpoints: the diagnostics read every matrix and let none go."""
    return sum(matrix.size * matrix.stored for matrix in job.matrices)


def chunk_bytes(job: Job) -> int:
    """Bases that wait to be stored together, and their copy while they are."""
    waiting = min(basis_bytes(job), CHUNK_BYTES + max(map(job.basis_bytes, job.matrices)))
    return 2 * waiting


def basis_bytes(job: Job) -> int:
    """Short-side bases in float64."""
    return sum(map(job.basis_bytes, job.matrices))


def largest(job: Job, cost: Callable[[Matrix], int], workers: int) -> int:
    """The costliest matrices in the hands of all workers at once."""
    return sum(sorted(map(cost, job.matrices), reverse=True)[:workers])
