"""`jaxtrunc report`: page, plots and table from results.json."""

from pathlib import Path

from jaxtrunc.core import jsonio
from jaxtrunc.core.progress import say
from jaxtrunc.core.rundir import open_run
from jaxtrunc.report import print_table, write_report

RESULTS = "results.json"


def report(path: Path) -> None:
    """Render a finished run again; `InputError` if it has no results yet."""
    run = open_run(path, RESULTS, "sweep")
    results = jsonio.read_json(run / RESULTS)
    with run.lock():
        write_report(path, results)
    print_table(results)
    say(f"report: {path / 'report.html'}")
