"""report.html and report.md of a vocabulary lens: two files that stand alone, from the dict of lens.json."""

import warnings
from pathlib import Path
from typing import Any

from jaxtrunc.core import jsonio
from jaxtrunc.report.lens import comparison, directions, summary, tables
from jaxtrunc.report.lens.cells import Facts
from jaxtrunc.report.lens.markdown import as_markdown
from jaxtrunc.report.lens.plots import draw
from jaxtrunc.report.page import environment


def write_lens_page(directory: Path, facts: Facts) -> None:
    """Write report.html and report.md into `directory`; the same facts give the same bytes."""
    jsonio.write_text(directory / "report.html", render(facts))
    jsonio.write_text(directory / "report.md", as_markdown(facts))


def render(facts: Facts) -> str:
    """The page as HTML text; every word of the facts is escaped."""
    with warnings.catch_warnings():
        # Labels are drawn by the reader's browser, which has the letters that the font used for measuring lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        return environment().get_template("lens.html.j2").render(
            facts=facts, title=summary.headline(facts), said=summary.sentences(facts), plots=draw(facts),
            provenance=tables.provenance(facts), spectrum=tables.spectrum(facts), gates=tables.gates(facts),
            directions=directions.directions(facts["directions"], facts["spectrum"]), first=directions.FIRST,
            labelled=tables.labelled(facts), glitch=tables.glitch_lists(facts), duplicates=tables.duplicates(facts),
            groups=tables.groups(facts), worksheet=tables.worksheet(facts), config=jsonio.dumps(facts["config"], indent=2),
            environment=jsonio.dumps(facts["environment"], indent=2), compared=_compared(facts))


def _compared(facts: Facts) -> dict[str, Any] | None:
    """The tables of the comparison; None without one."""
    found = facts["comparison"]
    if not found:
        return None
    return {"heads": found["heads"], "unchanged": found["unchanged"], "sources": comparison.sources(found),
            "spectra": comparison.spectra(facts["spectrum"], found["spectrum"]), "angles": comparison.angles(found),
            "matching": comparison.matching(found), "persistence": comparison.persistence(found),
            "new": comparison.new_poles(found), "movers": comparison.movers(found), "delta": comparison.delta(found)}
