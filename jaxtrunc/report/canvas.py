"""How every plot looks, and how it is written: PNG, SVG without dates, paths or addresses, and CSV of what is drawn."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jaxtrunc.report.study import Variant

WIDTH = 5.4  # inches: two columns on a wide page, one on a phone, with letters that stay readable
LEGEND_LINE = 0.19  # inches
INK = "#1b1f24"  # drawn in this colour, inlined as currentColor, so that a page in dark mode stays readable
# Okabe and Ito's colours, safe for colour-blind readers, a little darker where they would vanish on white.
COLOURS = {"top_k": "#1478b8", "interpolate": "#d98a00", "bottom_k": "#cf5a00", "drop_top_k": "#c2649b",
           "random_k": "#0a9a72", "flatten_k": "#46a9dc", "energy": "#8c6bb1", "ratio": "#7a8b3c", "mp_edge": "#8a6d5a",
           "dg_hard": "#5f7d95", "lora": "#6f2c91", "sparsify": "#a3123f", "noise": "#6b7280"}
MARKERS = {"top_k": "o", "interpolate": "D", "bottom_k": "v", "drop_top_k": "s", "random_k": "^", "flatten_k": "P",
           "energy": "X", "ratio": "*", "mp_edge": "p", "dg_hard": "h", "lora": ">", "sparsify": "d", "noise": "<"}
RULES: dict[Any, Any] = {
    "font.size": 10, "axes.edgecolor": INK, "axes.labelcolor": INK, "text.color": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": INK, "grid.alpha": 0.12,
    "axes.axisbelow": True, "legend.frameon": False, "lines.linewidth": 1.8, "lines.markersize": 5, "savefig.dpi": 160,
    "figure.facecolor": "none", "axes.facecolor": "none", "svg.fonttype": "none", "svg.hashsalt": "jaxtrunc",
}


@dataclass(frozen=True)
class Plot:
    """A drawn figure with its words and with the numbers in it.

    Attributes:
      name: file name without its ending.
      rows: one row per thing drawn, as `columns` says.
    """

    name: str
    title: str
    caption: str
    figure: Any
    columns: tuple[str, ...]
    rows: list[tuple]

    @cached_property
    def svg(self) -> str:
        """The figure as SVG text, the same bytes for the same numbers."""
        out = io.StringIO()
        with style():
            nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            self.figure.savefig(out, format="svg", metadata=nothing)
        return out.getvalue()

    def inline(self) -> str:
        """The SVG to stand in a page: no prologue, ids of its own, the page's text colour, and a name for readers."""
        body = self.svg.replace(INK, "currentColor")
        body = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{self.name}-", body[body.index("<svg"):])
        body = re.sub(r' (width|height)="[\d.]+pt"', "", body, count=2)
        return body.replace("<svg", f'<svg role="img" aria-label="{self.title}"', 1)

    def write(self, directory: Path) -> None:
        """Write NAME.svg, NAME.png and NAME.csv."""
        (directory / f"{self.name}.svg").write_text(self.svg, encoding="utf-8")
        with style():
            self.figure.savefig(directory / f"{self.name}.png", facecolor="white", metadata={"Software": None})
        with open(directory / f"{self.name}.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([self.columns, *self.rows])


@contextmanager
def style() -> Iterator[None]:
    """The look of all plots, for the length of the block."""
    import matplotlib

    with matplotlib.rc_context(RULES):
        yield


def new_figure(height: float = 4.0) -> Any:
    """An empty figure of the page's column width (inches), laid out so that nothing is cut off."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained")


def line_of(variant: Variant) -> dict[str, Any]:
    """Colour and marker of an operator; norm-matched variants dashed with open markers."""
    colour = COLOURS.get(variant.operator, "#777777")
    matched: dict[str, Any] = {"linestyle": "--", "markerfacecolor": "none"} if variant.norm_matched else {}
    return {"color": colour, "marker": MARKERS.get(variant.operator, "x"), "label": variant.label, **matched}


def legend_below(figure: Any, axes: Any) -> None:
    """The legend under the plot, where it covers nothing; the figure grows by what is over two lines."""
    handles, labels = axes.get_legend_handles_labels()
    columns = 2 if any(len(label) > 14 for label in labels) else 3  # three long labels would not fit
    lines = -(-len(labels) // columns)
    figure.set_figheight(figure.get_figheight() + LEGEND_LINE * max(lines - 2, 0))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=9, handlelength=2.4, columnspacing=1.2)


def rank_axis(axes: Any, ks: Sequence[float], most: int = 9) -> None:
    """A logarithmic axis of k that has a place for 0; ticks at the levels that were run."""
    from matplotlib.ticker import NullLocator

    axes.set_xscale("symlog", base=2, linthresh=1, linscale=0.7)
    shown = _apart(sorted(set(ks)), most)
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.xaxis.set_minor_locator(NullLocator())


def _apart(ticks: list[float], most: int) -> list[float]:
    """From the largest down, ticks far enough apart for their labels; about `most` of them."""
    nearest = max(1.9, (ticks[-1] or 1) ** (1 / most)) if ticks else 0
    shown: list[float] = []
    for tick in reversed(ticks):
        if not shown or tick * nearest <= shown[-1]:
            shown.append(tick)
    return shown[::-1]


def reference_line(axes: Any, y: float, text: str) -> None:
    """A horizontal line across the plot, named at its right end."""
    axes.axhline(y, color=INK, linewidth=1, linestyle=(0, (4, 3)), alpha=0.75)
    axes.text(1.01, y, text, transform=axes.get_yaxis_transform(), va="center", ha="left", fontsize=9)


def mark_selected(axes: Any, k: float) -> None:
    """A vertical line at k*."""
    axes.axvline(k, color=INK, linewidth=1, linestyle=":")
    axes.text(k, 1.01, "k*", transform=axes.get_xaxis_transform(), va="bottom", ha="center", fontsize=9)
