"""`jaxtrunc report`: page, plots and table from results.json."""

from pathlib import Path

from jaxtrunc.core import jsonio
from jaxtrunc.core.progress import say
from jaxtrunc.core.rundir import open_run
from jaxtrunc.report import print_table, write_report

RESULTS = "results.json"


def report(path: Path) -> None:
    """Render a finished run again; `InputError` if it has no results yet, or they were changed."""
    run = open_run(path, RESULTS, "sweep")
    run.verify(RESULTS, "sweep")
    with run.lock():
        write_report(path, jsonio.read_json(run / RESULTS))
    announce(path)


def announce(path: Path) -> None:
    """Print the table of a run, and where its page lies."""
    print_table(jsonio.read_json(path / RESULTS))
    say(f"report: {path / 'report.html'}")
