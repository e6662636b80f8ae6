"""A plan as tables on standard output."""

import math
import sys
from collections import Counter

from rich.console import Console
from rich.table import Table

from jaxtrunc.planning.job import elements, stored_bytes
from jaxtrunc.planning.plan import Plan
from jaxtrunc.planning.sizes import in_words

PIPE_WIDTH = 140


def print_plan(plan: Plan, assumed: str) -> None:
    """Matrices by shape, stages, and the verdict with what it rests on."""
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, markup=False, highlight=False)
    console.print(_shapes(plan))
    console.print(_stages(plan))
    for line in _lines(plan, assumed):
        print(line)


def _shapes(plan: Plan) -> Table:
    job = plan.job
    total = f"{elements(job.leaves):,} parameters, {in_words(stored_bytes(job.leaves))} on disk"
    table = Table("shape (in × out)", "count", "parameters", "decomposed", title=f"{job.cfg.family}, {total}")
    taken = Counter(matrix.shape for matrix in job.matrices)
    for shape, count in sorted(job.shapes.items(), key=lambda item: (-len(item[0]), -math.prod(item[0]) * item[1])):
        chosen = f"{taken[shape]:,}" if len(shape) == 2 and shape in taken else ""
        table.add_row(" × ".join(f"{side:,}" for side in shape), f"{count:,}", f"{count * math.prod(shape):,}", chosen)
    return table


def _stages(plan: Plan) -> Table:
    machine = plan.machine
    device = [] if machine.shared else ["peak of each device"]
    table = Table("stage", "work", *device, "peak of each host", "at", "disk", title=f"mesh {machine.mesh}")
    for stage in plan.stages:
        host, when = stage.host_peak(machine)
        on_device = [] if machine.shared else [in_words(stage.device_peak())]
        disk = in_words(stage.disk) if stage.disk else "records only"
        table.add_row(stage.name, stage.work, *on_device, in_words(host), when, disk)
    return table


def _lines(plan: Plan, assumed: str) -> list[str]:
    machine = plan.machine
    memory = "CPU, in the memory of the host" if machine.device_memory is None else in_words(machine.device_memory)
    lines = [f"assumed: {assumed}",
             f"devices: {machine.mesh.size} ({memory}); hosts: {machine.hosts} ({in_words(machine.host_memory)}, "
             f"{machine.workers} threads each)"]
    lines += [f"does not fit: {shortage}" for shortage in plan.shortages]
    if plan.fits:
        return [*lines, "fits"]
    if plan.suggestion:
        return [*lines, f"the smallest mesh of such devices that would do: --mesh {plan.suggestion}"]
    return [*lines, "more CPU devices share the same memory; plan for accelerators with --device-memory" if machine.shared else
            "no mesh of such devices and hosts would do"]

