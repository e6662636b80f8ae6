"""report.html and report.md of a run of subspaces and adapters: two files that stand alone, and the table for the terminal."""

import warnings
from pathlib import Path
from typing import Any

from jaxtrunc.core import jsonio
from jaxtrunc.report.page import environment
from jaxtrunc.report.sae import tables
from jaxtrunc.report.sae.cautions import CAUTIONS, findings
from jaxtrunc.report.sae.features import FIRST, features
from jaxtrunc.report.sae.markdown import as_markdown
from jaxtrunc.report.sae.plots import refusals


def write_sae_report(run: Path, results: dict[str, Any]) -> None:
    """Write report.md and report.html into `run`; the same results give the same bytes."""
    jsonio.write_text(run / "report.md", as_markdown(results, headline(results)))
    jsonio.write_text(run / "report.html", render(results))


def headline(results: dict[str, Any]) -> str:
    """What the page is about."""
    refs = {facts["base_model"] for facts in results["config"].values() if "base_model" in facts}
    sites = ", ".join(results["subspaces"] or results["features"] or results["saes"])
    return f"Feature subspaces of {Path(refs.pop()).name if len(refs) == 1 else 'a model'}" + (f" at {sites}" if sites else "")


def render(results: dict[str, Any]) -> str:
    """The page as HTML text; every word of the results is escaped."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        return environment().get_template("sae.html.j2").render(
            title=headline(results), cautions=CAUTIONS, warnings=results["warnings"], said=findings(results),
            plots=refusals(results), saes=tables.saes(results), subspaces=tables.subspaces(results), groups=tables.groups(results),
            adapters=tables.adapters(results), steering=tables.steering(results), sets=tables.sets(results),
            features=features(results), first=FIRST,
            columns=tables.columns(results), after=tables.after_training(results), phrases=results["phrases"],
            phrases_hash=results["phrases_hash"], config=jsonio.dumps(results["config"], indent=2),
            environment=jsonio.dumps(results["environment"], indent=2))


def print_sae_table(results: dict[str, Any]) -> None:
    """Print what the adapters do, and what the numbers say, on standard output."""
    from rich.console import Console
    from rich.table import Table

    console, found = Console(), tables.means(results)
    if found.rows:
        shown = Table(found.columns[0])
        for column in found.columns[1:]:
            shown.add_column(column, justify="right")
        for row in found.rows:
            shown.add_row(*map(str, row))
        console.print(shown)
    for sentence in findings(results):
        console.print(sentence, highlight=False, markup=False)
