"""Export: one truncated model in the base's dtype; nothing of it is on a device."""

from jaxtrunc.planning import sweep
from jaxtrunc.planning.decompose import PROGRAM, largest, mapped_bytes
from jaxtrunc.planning.job import Job, Machine, stored_bytes
from jaxtrunc.planning.stage import Moment, Stage


def export_stage(job: Job, machine: Machine) -> Stage:
    """Peak while the level is rebuilt; one host does it all, tensor by tensor out of what was rebuilt."""
    host = PROGRAM + mapped_bytes(job) + sweep.rebuilt_bytes(job) + largest(job, sweep.factoring, machine.workers)
    return Stage("export", "one level rebuilt", (Moment("rebuilding", 0, host),), stored_bytes(job.leaves))
