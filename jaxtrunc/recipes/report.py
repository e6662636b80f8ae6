"""`jaxtrunc report`: page, plots and table from results.json."""

from pathlib import Path

from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.progress import say
from jaxtrunc.core.rundir import open_run
from jaxtrunc.report import print_table, write_report

RESULTS = "results.json"


def report(path: Path) -> None:
    """Render a finished run again; `InputError` if it has no results yet, or they were changed."""
    run = open_run(path, RESULTS, "sweep")
    run.verify(RESULTS, "sweep")
    with run.lock():
        _render(path)
    announce(path)


def _render(path: Path) -> None:
    """Write page and plots; what they trip over is the file, for the same code has rendered it before."""
    results = jsonio.read_json(path / RESULTS)
    try:
        write_report(path, results)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"{path / RESULTS}: not what `jaxtrunc sweep` writes ({type(error).__name__}: {error}); `jaxtrunc sweep` "
                         "with --resume makes it again") from error


def announce(path: Path) -> None:
    """Print the table of a run, and where its page lies."""
    print_table(jsonio.read_json(path / RESULTS))
    say(f"report: {path / 'report.html'}")
