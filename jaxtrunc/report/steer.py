"""The page of a steering run: metrics before and after, both losses, where the objectives conflict and where SIFT fired."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrunc.core import jsonio
from jaxtrunc.report import canvas
from jaxtrunc.report.canvas import Plot
from jaxtrunc.report.lens.cells import Table
from jaxtrunc.report.page import environment
from jaxtrunc.report.wording import number

COLUMNS = ("metric", "better", "split", "before", "after", "change")
LAYER = re.compile(r"^(.*)\[(\d+)\]$")
MOST_NAMED = 40  # rows of the map; more names than this cannot be read


def print_steering(results: dict[str, Any]) -> None:
    """Print the metrics on standard output."""
    from rich.console import Console
    from rich.table import Table as Shown

    found, console = metrics(results), Console(highlight=False, markup=False)
    shown = Shown(caption=found.note, caption_justify="left")
    for column in found.columns:
        shown.add_column(column, justify="left" if column in COLUMNS[:3] else "right")
    for row in found.rows:
        shown.add_row(*map(str, row))
    console.print(shown)


def write_steer_report(run: Path, results: dict[str, Any]) -> None:
    """Write RUN/report.html from steer.json, steer.jsonl and conflicts.npz; the same run gives the same bytes."""
    jsonio.write_text(run / "report.html", render(results, draw(run, results)))


def render(results: dict[str, Any], plots: list[Plot]) -> str:
    """The page as HTML text; every word of the results is escaped."""
    return environment().get_template("steer.html.j2").render(
        title=f"Steering: {results['task']['name']} by {results['config']['method']}", metrics=metrics(results), plots=plots,
        facts=facts(results), warnings=results["warnings"], proposal=results["proposal"] and jsonio.dumps(results["proposal"]),
        config=jsonio.dumps(results["config"], indent=2), environment=jsonio.dumps(results["environment"], indent=2))


def metrics(results: dict[str, Any]) -> Table:
    """One row per metric and split."""
    before, after = (results["metrics"][when] for when in ("before", "after"))
    rows = [(name, direction, split, number(before[split][name], 3), number(after[split][name], 3),
             _change(before[split][name], after[split][name]))
            for name, direction in results["better"].items() for split in before]
    return Table(COLUMNS, rows, note="The primary objective's metric comes first. One run: it takes seeds to say what is chance.")


def facts(results: dict[str, Any]) -> list[tuple[str, str]]:
    """What happened, as name and value."""
    last = results["last"]
    found = [("steps", str(results["steps"])), ("fired share of matrices, mean over steps", number(results["fired_share"], 3))]
    names = {"primary": "primary loss", "constraint": "constraint", "cos_mean": "mean cosine"}
    fired = {"rank_used": "rank", "sti": "interference of the momenta", "sti_after": "interference of the orthogonalised halves",
             "align_f": "alignment with the primary momentum", "align_g": "alignment with the constraint's"}
    names |= {name: f"{text}, mean where it fired" for name, text in fired.items()}
    return found + [(f"last step: {text}", number(last[name], 3)) for name, text in names.items()]


def draw(run: Path, results: dict[str, Any]) -> list[Plot]:
    """Losses, the map of conflicts and, of SIFT, the map of what fired."""
    lines = jsonio.read_lines(run / "steer.jsonl")
    with np.load(run / "conflicts.npz") as file:
        arrays = {name: file[name] for name in file.files}
    with canvas.style():
        plots = [_losses(lines), _conflicts(arrays, results["cosines_of"])]
        return [*plots, _fired(arrays)] if "fired" in arrays else plots


def _losses(lines: list[dict[str, Any]]) -> Plot:
    figure = canvas.new_figure(3.4)
    steps = [line["step"] for line in lines]
    for axes, name in zip(figure.subplots(1, 2), ("primary", "constraint"), strict=True):
        axes.plot(steps, [line[name] for line in lines], color=canvas.COLOURS["top_k" if name == "primary" else "random_k"])
        axes.set(xlabel="step", ylabel="loss × weight", title=name)
    rows = [(line["step"], line["primary"], line["constraint"]) for line in lines]
    caption = "Of each step's own batch, with their weights; in nats, but rmu and retention in squared units of the hidden states."
    return Plot("losses", "Both losses", caption, figure, ("step", "primary", "constraint"), rows)


def _conflicts(arrays: dict[str, np.ndarray], of: str) -> Plot:
    cos, names = arrays["cos"].T, arrays["names"].tolist()
    figure = canvas.new_figure(min(1.6 + 0.2 * len(names), 9.0))
    most = float(np.nanmax(np.abs(cos), initial=1e-6))
    axes = _map(figure, cos, names, {"cmap": "RdBu_r", "vmin": -most, "vmax": most}, f"cosine of the {of}")
    axes.set_xlabel("step")
    rows = [(step + 1, name, cos[row, step]) for row, name in enumerate(names) for step in range(cos.shape[1])]
    return Plot("conflicts", f"Conflict: cosine of the {of} of both objectives", "Blue: they conflict. Blank: one of them is zero.",
                figure, ("step", "matrix", "cosine"), rows)


def _fired(arrays: dict[str, np.ndarray]) -> Plot:
    layers = np.array([int(found[2]) if (found := LAYER.match(name)) else 0 for name in arrays["names"].tolist()])
    known = sorted(set(layers.tolist()))
    table = np.array([arrays["fired"][:, layers == layer].mean(1) for layer in known])
    figure = canvas.new_figure(min(1.8 + 0.28 * len(known), 9.0))
    axes = _map(figure, table, [str(layer) for layer in known], {"cmap": "cividis", "vmin": 0, "vmax": 1}, "share of matrices")
    axes.set(xlabel="step", ylabel="layer")
    rows = [(step + 1, layer, table[row, step]) for row, layer in enumerate(known) for step in range(table.shape[1])]
    return Plot("fired", "Where SIFT fired", "Share of a layer's matrices at each step; elsewhere Muon's update was taken.", figure,
                ("step", "layer", "share"), rows)


def _map(figure: Any, table: np.ndarray, names: list[str], colours: dict[str, Any], label: str) -> Any:
    """Rows by step; NaN is left blank."""
    axes = figure.subplots()
    mesh = axes.pcolormesh(np.arange(table.shape[1] + 1) + 0.5, np.arange(len(table) + 1), np.ma.masked_invalid(table),
                           rasterized=True, **colours)
    figure.colorbar(mesh, ax=axes, pad=0.02, fraction=0.05, aspect=40, label=label)
    axes.grid(False)
    axes.invert_yaxis()
    step = -(-len(names) // MOST_NAMED)
    shown = [name.removeprefix("layers/").replace("/kernel", "") for name in names[::step]]
    axes.set_yticks(np.arange(0, len(names), step) + 0.5, shown, fontsize=7)
    return axes


def _change(before: float | None, after: float | None) -> str:
    return number(None if before is None or after is None else after - before, 3, signed=True)
