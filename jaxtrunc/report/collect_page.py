"""collect.html: many runs on one self-contained page, with its plots beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtrunc.core import jsonio
from jaxtrunc.report import collect_plots, collect_spectra, collect_tables
from jaxtrunc.report.canvas import Plot
from jaxtrunc.report.collect_claims import WHERE_TESTED, Claim
from jaxtrunc.report.collect_facts import Run
from jaxtrunc.report.page import environment

TONES = {"confirmed": "good", "nominal": "mixed", "refuted": "bad", f"confirmed{WHERE_TESTED}": "mixed",
         f"nominal{WHERE_TESTED}": "mixed"}


@dataclass(frozen=True)
class Collection:
    """All that a page shows.

    Attributes:
      groups: over-seed summaries: `base`, `task`, `seeds`, `quantities`, `verdicts`.
      similarity: `{"a", "b", "value"}` per pair of runs.
      unusable: `{"path", "reason"}` of what was found and cannot be shown.
    """

    runs: Sequence[Run]
    groups: Sequence[dict[str, Any]]
    similarity: Sequence[dict[str, Any]]
    claims: Sequence[Claim]
    unusable: Sequence[dict[str, str]]


def write_collection(directory: Path, collection: Collection) -> None:
    """Write collect.html and plots/ into `directory`."""
    plots = {"runs": collect_plots.draw(collection.runs), "spectra": collect_spectra.draw(collection.runs, collection.similarity)}
    (directory / "plots").mkdir()
    for group in plots.values():
        for plot in group:
            plot.write(directory / "plots")
    jsonio.write_text(directory / "collect.html", render(collection, plots))


def render(collection: Collection, plots: dict[str, list[Plot]]) -> str:
    """The page as HTML text; every word of the results is escaped."""
    runs = collection.runs
    return environment().get_template("collect.html.j2").render(
        runs=runs, unusable=collection.unusable, claims=collection.claims, tones=TONES, plots=plots,
        overview=collect_tables.overview(runs), factors=collect_tables.factors(runs), controls=collect_tables.controls(runs),
        seeds=collect_tables.seeds(collection.groups), rates=collect_tables.rates(runs), warnings=_warnings(runs))


def _warnings(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Each warning with the runs that give it."""
    givers: dict[str, list[str]] = {}
    for run in runs:
        for warning in run.results.get("warnings") or []:
            givers.setdefault(warning, []).append(run.name)
    return list(givers.items())
