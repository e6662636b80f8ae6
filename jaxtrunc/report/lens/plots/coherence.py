"""The VCS of both poles of each direction, against what chance gives."""

import numpy as np

from jaxtrunc.report import canvas
from jaxtrunc.report.canvas import Plot
from jaxtrunc.report.lens.cells import Facts
from jaxtrunc.report.lens.plots.frame import FIRST, SECOND, plot

NAMES = {"+": ("plus", "Mean cosine of the tokens of a pole."),
         "-": ("minus", "Grey: mean ± 2 standard deviations for tokens that share the pole’s own coordinate and nothing else. What "
                        "rises above it hangs together in other directions as well.")}
LOOKS = {"+": {"color": FIRST, "marker": "^"}, "-": {"color": SECOND, "marker": "v"}}


def draw(facts: Facts) -> list[Plot]:
    """One figure a pole, on the same axes: the score, and the band of its null."""
    if not facts["directions"]:
        return []
    return [_figure(facts["directions"], sign) for sign in LOOKS]


def _figure(directions: list[Facts], sign: str) -> Plot:
    figure = canvas.new_figure(3.2)
    axes = figure.subplots()
    poles = [entry["poles"][sign] for entry in directions]
    x = np.array([entry["index"] for entry in directions])
    mean, sd, vcs = (np.array([np.nan if pole[key] is None else pole[key] for pole in poles], float)
                     for key in ("vcs_null_mean", "vcs_null_sd", "vcs"))
    axes.fill_between(x, mean - 2 * sd, mean + 2 * sd, color="#7a8490", alpha=0.35, linewidth=0, step="mid")
    axes.plot(x, vcs, linestyle="none", markersize=6, **LOOKS[sign])
    axes.set_ylim(*_limits(directions))
    axes.set_xlabel("direction i")
    axes.set_ylabel("VCS")
    name, said = NAMES[sign]
    return plot(f"lens_vcs_{name}", f"Coherence (VCS), {sign.replace('-', '−')} pole", said, figure)


def _limits(directions: list[Facts]) -> tuple[float, float]:
    seen = [pole["vcs"] for entry in directions for pole in entry["poles"].values() if pole["vcs"] is not None]
    return min([-0.05, *(value - 0.05 for value in seen)]), 1.05
