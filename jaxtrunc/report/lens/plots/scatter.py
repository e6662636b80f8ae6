"""Every sampled row by norm and spread, coloured by category; rows in a glitch list are labelled."""

import numpy as np

from jaxtrunc.report import canvas
from jaxtrunc.report.canvas import INK, Plot
from jaxtrunc.report.lens.cells import END, ISOLATE, Facts
from jaxtrunc.report.lens.plots.frame import plot
from jaxtrunc.report.lens.tables import labelled_ids

# Drawn in this order, so that the many lie below the few.
LOOKS = {"ok": ("#7a8490", "o"), "unknown": ("#7a8490", "o"), "byte": ("#8c6bb1", "D"), "undecodable": ("#d98a00", "v"),
         "unreachable": ("#1478b8", "s"), "unused": ("#a3123f", "X"), "special": ("#0a9a72", "^"), "padding": ("#8a6d5a", "P")}
MOST_LETTERS = 12
LINE = 0.055  # height of a label as a share of that of the plot


def draw(facts: Facts) -> list[Plot]:
    """One figure, or none without rows."""
    columns = facts["scatter"]
    if not columns["ids"]:
        return []
    norm, spread = np.array(columns["norm"], float), np.array(columns["spread"], float)
    category, listed = np.array(columns["category"]), np.array(columns["listed"], bool)
    figure = canvas.new_figure(5.2)
    axes = figure.subplots()
    for name, (colour, marker) in LOOKS.items():
        for which, faint in ((~listed, True), (listed, False)):
            _points(axes, norm, spread, which & (category == name), colour, marker, name if faint else None)
    _labels(axes, columns, norm, spread, labelled_ids(facts))
    axes.set_xlabel("norm of the row")
    axes.set_ylabel("spread (low: along few directions)")
    _legend(figure, axes, [name for name in LOOKS if name in set(category)])
    return [plot("lens_scatter", "Spread and norm", _caption(facts, len(norm)), figure)]


def _points(axes, norm, spread, which, colour: str, marker: str, label: str | None) -> None:
    look = {"alpha": 0.45, "markersize": 2.4} if label else {"markersize": 5, "markeredgecolor": INK, "markeredgewidth": 0.6}
    axes.plot(norm[which], spread[which], linestyle="none", marker=marker, color=colour, **look)


def _labels(axes, columns: Facts, norm, spread, ids: list[int]) -> None:
    """In a column beside the plot, as near to the height of their points as they find place, each with a line to its point."""
    place = {token: row for row, token in enumerate(columns["ids"])}
    rows = sorted((place[token] for token in ids if token in place), key=lambda row: spread[row])
    low, high = axes.get_ylim()
    for row, height in zip(rows, _apart((spread[rows] - low) / (high - low)), strict=True):
        axes.annotate(_short(columns["ids"][row], columns["token"][row]), (norm[row], spread[row]), xytext=(1.06, height),
                      textcoords="axes fraction", fontsize=8, va="center", parse_math=False,
                      arrowprops={"arrowstyle": "-", "color": INK, "alpha": 0.35, "linewidth": 0.6})


def _apart(heights: np.ndarray) -> np.ndarray:
    """Ascending heights from 0 to 1 moved as far as needed to be a line of text apart."""
    steps = LINE * np.arange(len(heights))
    risen = np.maximum.accumulate(heights - steps) + steps
    return np.minimum(risen, 1 - steps[::-1])


def _short(token: int, text: str | None) -> str:
    if text is None:
        return str(token)
    return f"{ISOLATE}{text if len(text) <= MOST_LETTERS else text[:MOST_LETTERS - 1] + '…'}{END} {token}"


def _legend(figure, axes, names: list[str]) -> None:
    for name in names:
        colour, marker = LOOKS[name]
        axes.plot([], [], linestyle="none", marker=marker, color=colour, label=name)
    canvas.legend_below(figure, axes)


def _caption(facts: Facts, drawn: int) -> str:
    return (f"{drawn:,} of {facts['glitch']['counts']['eligible']:,} rows: a random sample, and every row of the lists below "
            "(large, with a rim). Labels, text and id: the first of each list, as in the table beside.")
