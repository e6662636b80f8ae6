"""What merge.json says of the interference of models, as a table by kind of tensor."""

import re
from statistics import median
from typing import Any

LAYER = re.compile(r"\.(\d+)\.")
COLUMNS = ("tensor", "count", "‖Δ‖", "cosine between tasks", "largest", "STI before", "STI after")
NONE = "–"
CAPTION = ("Medians over layers. STI: how much the singular directions of the tasks overlap, in units of their singular values; 0 "
           "is none. Compare before with after.")
Entry = dict[str, Any]


def print_merge(facts: dict[str, Any]) -> None:
    """Print the interference by kind of tensor on standard output."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=120)
    rows, unchanged = by_module(facts)
    table = Table(caption="\n".join([*unchanged_line(unchanged), CAPTION]), caption_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "tensor" else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def by_module(facts: dict[str, Any]) -> tuple[list[tuple[str, ...]], list[str]]:
    """One row of text per kind of tensor, in the order of the file, and the kinds that no model changed, which get none."""
    groups: dict[str, list[Entry]] = {}
    for name, entry in facts["tensors"].items():
        groups.setdefault(kind_of(name), []).append(entry)
    readers = (lambda e: e["delta_norm"], lambda e: cosine(e, mean=True), lambda e: cosine(e, mean=False),
               lambda e: e["sti_before"], lambda e: e["sti_after"])
    unchanged = [kind for kind, entries in groups.items() if all(map(_unchanged, entries))]
    return [(kind, str(len(entries)), *(_median(entries, read) for read in readers)) for kind, entries in groups.items()
            if kind not in unchanged], unchanged


def unchanged_line(kinds: list[str]) -> list[str]:
    """What stands for the rows that there are not; nothing if all are there."""
    return [f"Unchanged: {', '.join(kinds)}."] if kinds else []


def _unchanged(entry: Entry) -> bool:
    return entry["delta_norm"] == 0 and not any(entry["task_norms"])


def kind_of(name: str) -> str:
    """The kind of a tensor: its name without the layer."""
    return LAYER.split(name)[-1].removesuffix(".weight").removeprefix("model.")


def cosine(entry: Entry, *, mean: bool) -> float | None:
    """Of the |cosines| between two tasks, the mean or the largest."""
    table = entry["frobenius_cosine"]
    values = [abs(value) for i, row in enumerate(table or []) for value in row[i + 1:] if value is not None]
    if not values:
        return None
    return sum(values) / len(values) if mean else max(values)


def _median(entries: list[Entry], read: Any) -> str:
    values = [value for entry in entries if (value := read(entry)) is not None]
    return f"{median(values):.3g}" if values else NONE
