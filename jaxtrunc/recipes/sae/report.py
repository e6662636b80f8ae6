"""`jaxtrunc sae report`: results, pages and table of a run, made anew from what is in it."""

from pathlib import Path

from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.progress import say
from jaxtrunc.core.rundir import MANIFEST
from jaxtrunc.recipes.sae.results import RESULTS, write_results
from jaxtrunc.report.sae import print_sae_table

PARTS = ("sae", "features", "subspace", "adapters")


def report(path: Path) -> None:
    """Write results.json, report.md and report.html; `InputError` if the run has nothing of the other verbs, or is damaged."""
    if not (path / MANIFEST).exists():
        raise InputError(f"{path}: not a run directory (no manifest.json); make one with `jaxtrunc sae train --out-path {path}`")
    if not any((path / part).is_dir() for part in PARTS):
        raise InputError(f"{path}: holds no autoencoder, features, subspace or adapter; run `jaxtrunc sae train` or "
                         "`jaxtrunc sae features` on it first")
    try:
        write_results(path)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:  # files of a run that somebody changed
        raise InputError(f"{path}: a file is not what `jaxtrunc sae` writes ({type(error).__name__}: {error}); make that part "
                         "again in another run") from error
    announce(path)


def announce(path: Path) -> None:
    """Print the table of a run, and where its page lies."""
    print_sae_table(jsonio.read_json(path / RESULTS))
    say(f"report: {path / 'report.html'}")
