"""The table of a study: one row per level, seeds averaged; for the terminal here, for the page in `page`."""

from dataclasses import dataclass
from textwrap import fill

from jaxtrunc.report import study, wording
from jaxtrunc.report.findings import findings

COLUMNS = ("operator", "k", "accuracy", "balanced accuracy", "gap", "loss (pp)", "reduction")
KEY = "Accuracies, gaps and losses in percentage points, 95 % intervals in brackets; ×5: mean (range) of 5 seeds; ◀ marks k*"


@dataclass(frozen=True)
class Row:
    """One level as text; `chosen` marks k*."""

    cells: tuple[str, ...]
    chosen: bool
    first: bool  # first row of its operator


def rows(results: study.Results) -> list[Row]:
    """The end points, then every level of every variant. Accuracies, gap and loss in points."""
    out = [Row(_cells(name, wording.NONE, [record]), False, True)
           for name in ("base", "ft") if (record := study.endpoint(results, name))]
    chosen = study.selected_record(results)
    for variant in study.variants(results):
        for index, (x, records) in enumerate(study.levels(results, variant)):
            cells = _cells(_name(variant, len(records)), wording.at(variant.axis, x), records)
            is_chosen = records[0] is chosen
            if is_chosen and x == 0:
                cells = (*cells[:-1], wording.NONE)  # at k* = 0 no reduction is claimed
            out.append(Row(cells, is_chosen, index == 0))
    return out


def print_table(results: study.Results) -> None:
    """Print every level and the plain findings on standard output."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=120)
    table = Table(caption=KEY, caption_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "operator" else "right", no_wrap=name in ("operator", "gap"))
    for row in rows(results):
        if row.first and row.cells[0] != "ft":
            table.add_section()
        cells = (row.cells[0], row.cells[1] + (" ◀" if row.chosen else ""), *row.cells[2:])
        table.add_row(*cells, style="bold" if row.chosen else None)
    console.print(table)
    said = findings(results)
    console.print(f"\n{said.headline}", style="bold")
    for title, sentences in (("Found:", said.shown), ("Not shown:", said.not_shown)):
        lines = (fill(sentence, console.width, initial_indent="  • ", subsequent_indent="    ") for sentence in sentences)
        console.print("\n".join(["", title, *lines]))


def _name(variant: study.Variant, seeds: int) -> str:
    return f"{variant.label} ×{seeds}" if seeds > 1 else variant.label


def _cells(name: str, at: str, records: list[study.Record]) -> tuple[str, ...]:
    def read(reader: study.Reader) -> study.Estimate | None:
        return study.pooled(records, reader)

    accuracy, balanced = (wording.rate(_bare(read(study.metric(key)))) for key in ("accuracy", "balanced_accuracy"))
    gap = wording.rate(read(study.metric("gap")), signed=True)
    loss = wording.points(_bare(read(study.comparison("loss_pp"))))
    reduction = read(study.comparison("reduction"))
    return name, at, accuracy, balanced, gap, loss, wording.times(reduction and reduction.value)


def _bare(estimate: study.Estimate | None) -> study.Estimate | None:
    """Without the interval, where the column would get too wide to read."""
    return study.Estimate(estimate.value) if estimate else None
