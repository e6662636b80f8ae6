"""report.html: one self-contained page, and the plots beside it as PNG, SVG and CSV."""

from pathlib import Path
from typing import Any

from jaxtrunc.core import jsonio
from jaxtrunc.report import table
from jaxtrunc.report.findings import findings
from jaxtrunc.report.study import Results


def write_report(run: Path, results: Results) -> None:
    """Write RUN/report.html and RUN/plots/ from the contents of results.json; each appears only when whole."""
    jsonio.write_text(run / "report.html", render(results))


def render(results: Results) -> str:
    """The page as HTML text."""
    return _environment().get_template("report.html.j2").render(
        said=findings(results), columns=table.COLUMNS, rows=table.rows(results))


def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(loader=PackageLoader("jaxtrunc.report"), autoescape=True, undefined=StrictUndefined)
