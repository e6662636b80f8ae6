"""The plan of a run: its stages, whether they fit, and which mesh would do."""

import dataclasses
from dataclasses import dataclass

from jaxtrunc.planning.decompose import decompose_stage
from jaxtrunc.planning.export import export_stage
from jaxtrunc.planning.finetune import finetune_stage
from jaxtrunc.planning.job import Job, Machine
from jaxtrunc.planning.meshes import MeshShape, candidates
from jaxtrunc.planning.sizes import in_words
from jaxtrunc.planning.stage import Stage
from jaxtrunc.planning.sweep import sweep_stage


@dataclass(frozen=True)
class Plan:
    """What came out.

    Attributes:
      shortages: one sentence for every stage and kind of memory that is not enough; empty if the run fits.
      suggestion: the mesh of fewest devices of the same kind on which everything fits; None if the given one does, or none would.
    """

    job: Job
    machine: Machine
    stages: tuple[Stage, ...]
    shortages: tuple[str, ...]
    suggestion: MeshShape | None

    @property
    def fits(self) -> bool:
        """Whether every stage fits."""
        return not self.shortages


def make_plan(job: Job, machine: Machine) -> Plan:
    """Stages of a job on a machine, and the smallest mesh that would do where it does not fit."""
    stages = stages_of(job, machine)
    shortages = _shortages(stages, machine)
    return Plan(job, machine, stages, shortages, smallest_mesh(job, machine) if shortages else None)


def stages_of(job: Job, machine: Machine) -> tuple[Stage, ...]:
    """What the run goes through, in order."""
    first = (finetune_stage(job, machine),) if job.train is not None else ()
    return (*first, decompose_stage(job, machine), sweep_stage(job, machine), export_stage(job, machine))


def smallest_mesh(job: Job, machine: Machine) -> MeshShape | None:
    """Over fsdp and tensor, in powers of two; None on CPU, whose devices share one memory."""
    if machine.shared:
        return None
    for mesh in candidates():
        other = dataclasses.replace(machine, mesh=mesh)
        if divides_rows(job, mesh) and not _shortages(stages_of(job, other), other):
            return mesh
    return None


def divides_rows(job: Job, mesh: MeshShape) -> bool:
    """Whether a training batch can be divided over the mesh."""
    return job.train is None or job.train.batch_size % (job.train.accumulation * mesh.rows) == 0


def _shortages(stages: tuple[Stage, ...], machine: Machine) -> tuple[str, ...]:
    found = []
    for stage in stages:
        on_device, (on_host, when) = stage.device_peak(), stage.host_peak(machine)
        if machine.device_memory is not None and on_device > machine.device_memory:
            found.append(f"{stage.name} needs {in_words(on_device)} on each device, which has {in_words(machine.device_memory)}")
        if on_host > machine.host_memory:
            found.append(f"{stage.name} ({when}) needs {in_words(on_host)} on each host, which has {in_words(machine.host_memory)}")
    return tuple(found)
