"""Two heads beside each other: spectra, VCS, angles between leading subspaces, matching of directions."""

from math import degrees

import numpy as np

from jaxtrunc.report import canvas
from jaxtrunc.report.canvas import INK, Plot
from jaxtrunc.report.lens.cells import Facts
from jaxtrunc.report.lens.plots.frame import FIRST, SECOND, plot

MOST_TICKS = 10


def draw(facts: Facts) -> list[Plot]:
    """Four figures with a comparison, else none."""
    comparison = facts["comparison"]
    if not comparison:
        return []
    return [_spectra(facts["spectrum"], comparison["spectrum"]), _vcs(facts["directions"], comparison["vcs"]),
            _angles(comparison["angles"]), _cosines(np.array(comparison["cosines"]))]


def _spectra(base: Facts, tuned: Facts) -> Plot:
    figure = canvas.new_figure(3.6)
    axes = figure.subplots()
    for spectrum, colour, label, dash in ((base, FIRST, "base", "-"), (tuned, SECOND, "tuned", "--")):
        sigma = np.array(spectrum["sigma"])
        seen = sigma > 0
        axes.plot(np.arange(len(sigma))[seen] / len(sigma), sigma[seen] / sigma[0], color=colour, label=label, linestyle=dash)
    axes.set_yscale("log")
    axes.set_xlabel("i / d")
    axes.set_ylabel("σ / σ₁")
    canvas.legend_below(figure, axes)
    return plot("lens_two_spectra", "Both spectra", "On axes without units, so that heads of different size compare.", figure)


def _vcs(directions: list[Facts], tuned: list[Facts]) -> Plot:
    figure = canvas.new_figure(4.6)
    panels = figure.subplots(2, 1, sharex=True, sharey=True)
    for axes, sign in zip(panels, "+-", strict=True):
        axes.plot([entry["index"] for entry in directions], _numbers([entry["poles"][sign]["vcs"] for entry in directions]),
                  color=FIRST, marker="o", markersize=4, linewidth=1, label="base")
        axes.plot([entry["index"] for entry in tuned], _numbers([entry[sign] for entry in tuned]), color=SECOND, marker="s",
                  markersize=4, linewidth=1, linestyle="--", label="tuned")
        axes.set_ylabel(f"VCS, {sign.replace('-', '−')} pole")
    panels[1].set_xlabel("direction i")
    canvas.legend_below(figure, panels[0])
    return plot("lens_two_vcs", "VCS of both heads", "By rank of the direction in each head, not by matching.", figure)


def _numbers(values: list[float | None]) -> list[float]:
    return [np.nan if value is None else value for value in values]


def _angles(angles: Facts) -> Plot:
    figure = canvas.new_figure(3.8)
    axes = figure.subplots()
    for side, colour, dash in (("right", FIRST, "-"), ("left", SECOND, "--")):
        for number, entry in enumerate(angles[side]):
            x = np.arange(1, len(entry["angles"]) + 1)
            axes.plot(x, np.degrees(entry["angles"]), color=colour, linestyle=dash, marker="o", markersize=3, linewidth=1.2,
                      label=side if number == 0 else None)
            axes.annotate(f"K = {entry['k']}", (x[-1], degrees(entry["angles"][-1])), xytext=(4, 0), textcoords="offset points",
                          fontsize=8, color=colour, va="center")
    axes.margins(x=0.12)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("principal angle, smallest first")
    axes.set_ylabel("degrees")
    canvas.legend_below(figure, axes)
    caption = "Between the leading K directions of both heads; right: in the space of hidden states, left: over the tokens."
    return plot("lens_angles", "Principal angles", caption, figure)


def _cosines(cosines: np.ndarray) -> Plot:
    figure = canvas.new_figure(4.6)
    axes = figure.subplots()
    mesh = axes.pcolormesh(cosines, cmap="cividis", vmin=0, vmax=1)
    figure.colorbar(mesh, ax=axes, pad=0.02)
    axes.grid(False)
    axes.invert_yaxis()
    axes.set_aspect("equal")
    for ticks, size in ((axes.set_yticks, cosines.shape[0]), (axes.set_xticks, cosines.shape[1])):
        shown = np.arange(0, size, -(-size // MOST_TICKS))
        ticks(shown + 0.5, shown)
    axes.set_ylabel("direction of the base")
    axes.set_xlabel("direction of the tuned head")
    axes.spines[:].set_color(INK)
    caption = "|cosine| of right singular vectors. A block of several is defined only up to rotation."
    return plot("lens_cosines", "Matching of directions", caption, figure)
