"""`jaxtrunc doctor`: what is here, whether it works, and what to do about what does not."""

import sys

import jax
from rich.console import Console
from rich.table import Table

from jaxtrunc.core import processes
from jaxtrunc.core.errors import RunFailed
from jaxtrunc.recipes.checks import hardware, numerics, software
from jaxtrunc.recipes.checks.finding import Finding, Findings

CHECKS = (hardware.processes_and_devices, hardware.memory, software.versions, software.settings, numerics.precision,
          hardware.collective, numerics.decomposition, software.directory)


def doctor() -> None:
    """Print what was found, and a remedy for each fault; of several processes the first prints all, the others only faults.

    Raises:
      RunFailed: something is wrong in this or another process.
    """
    found: Findings = [finding for check in CHECKS for finding in check()]
    bad = [finding for finding in found if finding.remedy]
    if processes.is_main():
        _print_table(found)
    _print_advice(bad if processes.is_main() else [finding for finding in bad if finding.wrong])
    wrong = sum(processes.collect(sum(finding.wrong for finding in bad)))
    if wrong:
        raise RunFailed(f"doctor: {wrong} {'things are' if wrong > 1 else 'thing is'} wrong; what to do stands above")
    if processes.is_main() and not bad:
        print("nothing is wrong")


def _print_table(found: Findings) -> None:
    table = Table("what", "found", title="jaxtrunc doctor")
    for finding in found:
        table.add_row(finding.what, finding.found, style="red" if finding.wrong else "yellow" if finding.remedy else None)
    Console(width=None if sys.stdout.isatty() else 140, markup=False).print(table)


def _print_advice(bad: Findings) -> None:
    where = f"process {jax.process_index()}, " if jax.process_count() > 1 else ""
    for finding in bad:
        print(f"{'wrong' if finding.wrong else 'advice'}: {where}{_line(finding)}", flush=True)


def _line(finding: Finding) -> str:
    return f"{finding.what}: {finding.found}. {finding.remedy}"
