"""What merge.json says of the interference of models: a table by kind of tensor, and a map over layers and kinds."""

import re
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from jaxtrunc.report import canvas
from jaxtrunc.report.canvas import Plot
from jaxtrunc.report.plots.heat import draw_table

LAYER = re.compile(r"\.(\d+)\.")
COLUMNS = ("tensor", "count", "‖Δ‖", "cosine between tasks", "largest", "STI before", "STI after")
DRAWN = ("tensor", "layer", "module", "rank_used", "delta_norm", "mean_cosine", "largest_cosine", "sti_before", "sti_after")
NONE = "–"


def print_merge(facts: dict[str, Any]) -> None:
    """Print the interference by kind of tensor on standard output."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=120)
    table = Table(caption="Medians over layers; STI: overlap of singular directions, 0 where there is none", caption_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "tensor" else "right")
    for row in by_module(facts):
        table.add_row(*row)
    console.print(table)


def by_module(facts: dict[str, Any]) -> list[tuple[str, ...]]:
    """One row of text per kind of tensor, in the order of the file."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, entry in facts["tensors"].items():
        groups.setdefault(_module(name), []).append(entry)
    readers = (lambda e: e["delta_norm"], lambda e: _cosine(e, mean=True), lambda e: _cosine(e, mean=False),
               lambda e: e["sti_before"], lambda e: e["sti_after"])
    return [(module, str(len(entries)), *(_median(entries, read) for read in readers)) for module, entries in groups.items()]


def write_interference(directory: Path, facts: dict[str, Any]) -> None:
    """Write plots/interference.svg, .png and .csv."""
    with canvas.style():
        plot = _draw(facts["tensors"])
    (directory / "plots").mkdir()
    plot.write(directory / "plots")


def _draw(tensors: dict[str, dict[str, Any]]) -> Plot:
    """The first two of STI before, STI after and the cosine between tasks that are known; every tensor is in the rows."""
    readers = {"STI before": lambda e: e["sti_before"], "STI after": lambda e: e["sti_after"],
               "mean |cosine| between tasks": lambda e: _cosine(e, mean=True)}
    known = [title for title, read in readers.items() if any(read(entry) is not None for entry in tensors.values())]
    panels = {title: readers[title] for title in known[:2]}
    cells = {(int(found[1]), _module(name)): entry for name, entry in tensors.items() if (found := LAYER.search(name))}
    layers, modules = sorted({layer for layer, _ in cells}), list(dict.fromkeys(module for _, module in cells))
    modules = [module for module in modules if len(cells[layers[0], module]["shape"]) == 2]
    figure = canvas.new_figure(min(1.8 + 0.28 * len(layers), 9.0))
    if not panels:
        figure.text(0.5, 0.5, "Unknown: it takes a base and two models.", ha="center")
    parts = np.atleast_1d(figure.subfigures(1, len(panels))) if panels else []
    for part, (title, read) in zip(parts, panels.items(), strict=True):
        table = np.array([[_number(read(cells[layer, module])) for module in modules] for layer in layers])
        part.suptitle(title, fontsize=10)
        draw_table(part, table, layers, modules)
    rows = [(name, layer[1] if (layer := LAYER.search(name)) else "", _module(name), entry["rank_used"], entry["delta_norm"],
             _cosine(entry, mean=True), _cosine(entry, mean=False), entry["sti_before"], entry["sti_after"])
            for name, entry in tensors.items()]
    return Plot("interference", "Interference of the models", "Blank: unknown.", figure, DRAWN, rows)


def _module(name: str) -> str:
    """The kind of a tensor: its name without the layer."""
    return LAYER.split(name)[-1].removesuffix(".weight").removeprefix("model.")


def _cosine(entry: dict[str, Any], *, mean: bool) -> float | None:
    """Of the |cosines| between two tasks, the mean or the largest."""
    table = entry["frobenius_cosine"]
    values = [abs(value) for i, row in enumerate(table or []) for value in row[i + 1:] if value is not None]
    if not values:
        return None
    return sum(values) / len(values) if mean else max(values)


def _median(entries: list[dict[str, Any]], read: Any) -> str:
    values = [value for entry in entries if (value := read(entry)) is not None]
    return f"{median(values):.3g}" if values else NONE


def _number(value: float | None) -> float:
    return np.nan if value is None else value
