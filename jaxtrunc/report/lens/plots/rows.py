"""How scores are spread over the rows: WPS with both tails, norm and spread."""

import numpy as np

from jaxtrunc.report import canvas
from jaxtrunc.report.canvas import INK, Plot
from jaxtrunc.report.lens.cells import Facts
from jaxtrunc.report.lens.plots.frame import FIRST, SECOND, plot


def draw(facts: Facts) -> list[Plot]:
    """Two figures of two histograms each."""
    wps = facts["wps"]
    leading, every = (f"WPS over {name}" for name in (f"the leading {wps['K']} directions", "all directions"))
    tails = f"Orange: rows whose robust z is beyond ±{wps['threshold']:g}. The axis of counts is logarithmic above 1."
    return [_pair("lens_wps", "Weighted projection score", tails, {leading: wps["wps1_K"], every: wps["wps1_d"]}),
            _pair("lens_rows", "Norm and spread of the rows", "Spread is low where a row lies along few directions. " + tails,
                  {"norm": wps["norm"], "spread": wps["spread"]})]


def _pair(name: str, title: str, caption: str, histograms: dict[str, Facts]) -> Plot:
    figure = canvas.new_figure(4.4)
    for axes, (label, histogram) in zip(figure.subplots(2, 1), histograms.items(), strict=True):
        _panel(axes, histogram)
        axes.set_xlabel(label)
        axes.set_ylabel("rows")
    return plot(name, title, caption, figure)


def _panel(axes, histogram: Facts) -> None:
    edges, counts = np.array(histogram["edges"], float), np.array(histogram["counts"], float)
    low, high = (histogram[end] for end in ("low", "high"))
    middle = (edges[1:] + edges[:-1]) / 2
    tail = (middle < (-np.inf if low is None else low)) | (middle > (np.inf if high is None else high))
    for which, colour in ((~tail, FIRST), (tail, SECOND)):
        axes.bar(edges[:-1][which], counts[which], width=np.diff(edges)[which], align="edge", color=colour, linewidth=0)
    for end in (low, high):
        if end is not None and edges[0] <= end <= edges[-1]:
            axes.axvline(end, color=INK, linewidth=1, linestyle=":")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)
