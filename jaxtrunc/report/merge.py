"""What merge.json says of the interference of models, as a table by kind of tensor."""

import re
from statistics import median
from typing import Any

LAYER = re.compile(r"\.(\d+)\.")
COLUMNS = ("tensor", "count", "‖Δ‖", "cosine between tasks", "largest", "STI before", "STI after")
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
        groups.setdefault(kind_of(name), []).append(entry)
    readers = (lambda e: e["delta_norm"], lambda e: cosine(e, mean=True), lambda e: cosine(e, mean=False),
               lambda e: e["sti_before"], lambda e: e["sti_after"])
    return [(module, str(len(entries)), *(_median(entries, read) for read in readers)) for module, entries in groups.items()]


def kind_of(name: str) -> str:
    """The kind of a tensor: its name without the layer."""
    return LAYER.split(name)[-1].removesuffix(".weight").removeprefix("model.")


def cosine(entry: dict[str, Any], *, mean: bool) -> float | None:
    """Of the |cosines| between two tasks, the mean or the largest."""
    table = entry["frobenius_cosine"]
    values = [abs(value) for i, row in enumerate(table or []) for value in row[i + 1:] if value is not None]
    if not values:
        return None
    return sum(values) / len(values) if mean else max(values)


def _median(entries: list[dict[str, Any]], read: Any) -> str:
    values = [value for entry in entries if (value := read(entry)) is not None]
    return f"{median(values):.3g}" if values else NONE
