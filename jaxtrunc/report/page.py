"""report.html: one self-contained page, and the plots beside it as PNG, SVG and CSV."""

import shutil
from pathlib import Path
from typing import Any

from jaxtrunc.core import jsonio
from jaxtrunc.core.files import publish, staging_name
from jaxtrunc.report import table, tables
from jaxtrunc.report.boundary import boundary_table
from jaxtrunc.report.canvas import Plot
from jaxtrunc.report.diagnostics import diagnostics
from jaxtrunc.report.findings import findings
from jaxtrunc.report.groups import ENDS, group_tables
from jaxtrunc.report.plots import draw
from jaxtrunc.report.study import Results


def write_report(run: Path, results: Results) -> None:
    """Write RUN/report.html and RUN/plots/ from the contents of results.json; each appears only when whole."""
    plots = draw(results)
    page = render(results, plots)
    staged = staging_name(run / "plots")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    for group in plots.values():
        for plot in group:
            plot.write(staged)
    publish(staged, run / "plots")
    jsonio.write_text(run / "report.html", page)


def render(results: Results, plots: dict[str, list[Plot]]) -> str:
    """The page as HTML text; every word of the results is escaped."""
    template = environment().get_template("report.html.j2")
    return template.render(
        **_facts(results), said=findings(results), warnings=results.get("warnings") or [], plots=plots,
        endpoints=tables.endpoints(results), controls=tables.controls(results), modules=tables.modules(results),
        diagnostics=diagnostics(results),
        boundary=boundary_table(results), groups=group_tables(results), ends=ENDS, selection=_selection(results),
        columns=table.COLUMNS, rows=table.rows(results), key=table.KEY)


def _facts(results: Results) -> dict[str, Any]:
    """What the page says about the run itself."""
    config, environment = results.get("config") or {}, results.get("environment") or {}
    task = config.get("task")
    return {
        "name": config.get("name") or "study", "base": config.get("base_model"), "model": config.get("model"),
        "instruction": task.get("instruction") if isinstance(task, dict) else None,
        "version": (environment.get("versions") or {}).get("jaxtrunc"),
        "config": jsonio.dumps(config, indent=2), "environment": jsonio.dumps(environment, indent=2),
    }


def _selection(results: Results) -> list[tuple[str, str]]:
    """The choice of k as name and value; the oracle under its own name only."""
    selection = results.get("selection")
    if not selection:
        return []
    names = {"k": "k*", "rule": "rule", "split": "chosen on", "tolerance_pp": "tolerated loss (pp)",
             "point_k": "by the point rule instead", "oracle_k": "oracle (uses group labels of the test split)"}
    return [(text, "–" if selection.get(key) is None else str(selection[key])) for key, text in names.items()]


def environment() -> Any:
    """The templates of all pages; every value is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(loader=PackageLoader("jaxtrunc.report"), autoescape=True, undefined=StrictUndefined,
                       trim_blocks=True, lstrip_blocks=True)
