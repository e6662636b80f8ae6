"""What merge.json says of the interference of models, as a map over layers and kinds of matrices."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrunc.report import canvas
from jaxtrunc.report.canvas import Plot
from jaxtrunc.report.merge import LAYER, Entry, cosine, kind_of
from jaxtrunc.report.plots.heat import draw_table

COLUMNS = ("tensor", "layer", "module", "rank_used", "delta_norm", "mean_cosine", "largest_cosine", "sti_before", "sti_after")
HIGHEST = 9.0  # inches of one map; two stand above each other
READERS: dict[str, Callable[[Entry], float | None]] = {
    "STI before": lambda entry: entry["sti_before"], "STI after": lambda entry: entry["sti_after"],
    "mean |cosine| between tasks": lambda entry: cosine(entry, mean=True)}


def write_interference(directory: Path, facts: dict[str, Any]) -> None:
    """Write plots/interference.svg, .png and .csv."""
    with canvas.style():
        figure = draw(facts["tensors"])
    (directory / "plots").mkdir()
    rows = [_row(name, entry) for name, entry in facts["tensors"].items()]
    Plot("interference", "Interference of the models", "Blank: unknown.", figure, COLUMNS, rows).write(directory / "plots")


def tables(tensors: dict[str, Entry]) -> tuple[list[int], list[str], dict[str, np.ndarray]]:
    """Layers, kinds of matrices, and the first two tables (layers, kinds) that are known; NaN where a layer has no such matrix."""
    cells = {(int(found[1]), kind_of(name)): entry for name, entry in tensors.items()
             if (found := LAYER.search(name)) and len(entry["shape"]) == 2}
    layers, kinds = sorted({layer for layer, _ in cells}), list(dict.fromkeys(kind for _, kind in cells))
    found = {title: np.array([[_number(cells.get((layer, kind)), read) for kind in kinds] for layer in layers])
             for title, read in READERS.items()}
    return layers, kinds, dict([(title, table) for title, table in found.items() if np.isfinite(table).any()][:2])


def draw(tensors: dict[str, Entry]) -> Any:
    """The tables above each other; STI before and after in the same colours."""
    layers, kinds, found = tables(tensors)
    height = min(1.8 + 0.28 * len(layers), HIGHEST / max(len(found), 1) + 1.0)
    figure = canvas.new_figure(height * max(len(found), 1))
    if not found:
        figure.text(0.5, 0.5, "Unknown: it takes a base and two models.", ha="center")
        return figure
    overlap = max((float(np.nanmax(table)) for title, table in found.items() if title.startswith("STI")), default=0.0)
    for part, (title, table) in zip(np.atleast_1d(figure.subfigures(len(found), 1)), found.items(), strict=True):
        part.suptitle(title, fontsize=10)
        draw_table(part, table, layers, short(kinds), overlap or None if title.startswith("STI") else None)
    return figure


def short(kinds: list[str]) -> list[str]:
    """`self_attn.q_proj` as `q_proj`, where no other kind ends so."""
    ends = Counter(kind.split(".")[-1] for kind in kinds)
    return [end if ends[end] == 1 else kind for kind in kinds for end in [kind.split(".")[-1]]]


def _row(name: str, entry: Entry) -> tuple:
    layer = LAYER.search(name)
    return (name, layer[1] if layer else "", kind_of(name), entry["rank_used"], entry["delta_norm"], cosine(entry, mean=True),
            cosine(entry, mean=False), entry["sti_before"], entry["sti_after"])


def _number(entry: Entry | None, read: Callable[[Entry], float | None]) -> float:
    value = None if entry is None else read(entry)
    return np.nan if value is None else value
