"""The sweep: weights of one level on the devices, and on the hosts all that makes the next level cheap."""

from jaxtrunc.planning.activations import Batch, forward_bytes
from jaxtrunc.planning.decompose import largest, mapped_bytes
from jaxtrunc.planning.finetune import gathered_bytes, unreleased_bytes
from jaxtrunc.planning.flops import prompt
from jaxtrunc.planning.job import Job, Machine, Matrix
from jaxtrunc.planning.meshes import bytes_per_device
from jaxtrunc.planning.stage import MIB, Moment, Stage, operations

PROGRAM, PROGRAM_PER_LAYER = 595 * MIB, 12 * MIB
"""As for fine-tuning: the process, and compiling one unrolled layer."""


def sweep_stage(job: Job, machine: Machine) -> Stage:
    """Peak while a level is rebuilt and while it is scored; an endpoint takes less."""
    weights = bytes_per_device(job.params, machine.mesh)
    host = PROGRAM + unreleased_bytes(job) + (PROGRAM_PER_LAYER * job.cfg.num_layers if machine.shared else 0)
    lent = 4 * job.cut if machine.shared else 0  # the leaves handed out are the weights that are scored
    host += (mapped_bytes(job) + rebuilt_bytes(job) - lent) // machine.hosts
    scoring = gathered_bytes(job, machine) + forward_bytes(job.cfg, Batch(job.prompts, job.tokens, machine.mesh))
    return Stage("sweep", f"{operations(prompt(job))} per prompt and level", (
        Moment("rebuilding", weights, host + largest(job, factoring, machine.workers)),
        Moment("scoring", weights + scoring, host),
    ), 0)


def rebuilt_bytes(job: Job) -> int:
    """Float32 leaves handed out, running sum and long-side factor of every matrix, the r × r short side, and W_base by rows."""
    return sum(4 * (3 * matrix.size + matrix.short**2) + matrix.base * matrix.size for matrix in job.matrices)


def factoring(matrix: Matrix) -> int:
    """One worker at first use: ΔW in float32 and float64, its product with the basis, the basis twice."""
    return matrix.size * (4 + 8 + 8) + 2 * 8 * matrix.short**2
