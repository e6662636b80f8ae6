"""What a script found: rows of seconds, curves, tables and notes; kept as JSON, from which render.py makes RESULTS.md."""

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from suite import machine

RESULTS = Path(__file__).parents[1] / "results"


@dataclass
class Row:
    """One way as measured: seconds of the first call, then of every round."""

    name: str
    first: float | None = None
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    missing: str | None = None


@dataclass
class Comparison:
    """Ways of one thing; the first row is ours and the others are told in multiples of it.

    Attributes:
      work: how much of `unit` one call does (tokens); 0: not told.
    """

    title: str
    rows: list[Row]
    work: float = 0
    unit: str = ""

    def row(self, name: str) -> Row:
        """The row of that name."""
        return next(row for row in self.rows if row.name == name)

    def ratio(self, theirs: str, ours: str | None = None) -> float | None:
        """Median over the rounds of CPU seconds of `theirs` over `ours` (default: the first row); None if one is missing."""
        above, below = self.row(theirs), self.rows[0] if ours is None else self.row(ours)
        ratios = [a / b for a, b in zip(above.cpu, below.cpu, strict=False)]
        return statistics.median(ratios) if ratios else None


@dataclass
class Curve:
    """Median CPU seconds against a size, and the exponent that was expected of it."""

    name: str
    axis: str
    sizes: list[float]
    seconds: list[float]
    expected: float


@dataclass
class Table:
    """Anything else: cells of text under a head."""

    title: str
    head: list[str]
    cells: list[list[str]]


@dataclass
class Report:
    """What a script found; `measured` answers lines of targets.py by name."""

    question: str
    notes: list[str] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    measured: dict[str, float | None] = field(default_factory=dict)

    def result(self, seconds: float, load: float) -> dict[str, Any]:
        """All of it with the machine, what the run took, and how busy the machine was before."""
        return {"machine": machine.describe(), "seconds": seconds, "load_before": load} | asdict(self)


def keep(result: dict[str, Any], file: Path) -> None:
    """Write a result as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


