"""Singular values, and the energy in the leading ones."""

import numpy as np

from jaxtrunc.report import canvas
from jaxtrunc.report.canvas import INK, Plot
from jaxtrunc.report.lens.cells import Facts
from jaxtrunc.report.lens.plots.frame import FIRST, SECOND, plot


def draw(facts: Facts) -> list[Plot]:
    """σ on a logarithmic axis, and cumulative energy; of the centred head too."""
    return [_sigma(facts["spectrum"]), _energy(facts["spectrum"])]


def _sigma(spectrum: Facts) -> Plot:
    figure = canvas.new_figure(3.6)
    axes = figure.subplots()
    if "centred" in spectrum:
        axes.plot(*_positive(spectrum["centred"]), color=SECOND, linestyle="--", label="mean row removed")
    axes.plot(*_positive(spectrum), color=FIRST, label="head")
    axes.set_yscale("log")
    axes.set_xlabel("direction i")
    axes.set_ylabel("σ, singular value")
    canvas.legend_below(figure, axes)
    return plot("lens_sigma", "Singular values", "Directions with σ = 0 are not drawn.", figure)


def _positive(spectrum: Facts) -> tuple[np.ndarray, np.ndarray]:
    sigma = np.array(spectrum["sigma"])
    return np.arange(len(sigma))[sigma > 0], sigma[sigma > 0]


def _energy(spectrum: Facts) -> Plot:
    figure = canvas.new_figure(3.6)
    axes = figure.subplots()
    if "centred" in spectrum:
        axes.plot(_from_zero(spectrum["centred"]), color=SECOND, linestyle="--", label="mean row removed")
    axes.plot(_from_zero(spectrum), color=FIRST, label="head")
    for q, k in spectrum["energy_k"].items():
        axes.plot([k, k, 0], [0, float(q), float(q)], color=INK, linewidth=0.8, linestyle=":")
        axes.annotate(f"{k:,}", (k, 0.02), xytext=(3, 0), textcoords="offset points", fontsize=8.5)
    axes.set_ylim(0, 1.03)
    axes.set_xlim(left=0)
    axes.set_xlabel("leading directions k")
    axes.set_ylabel("share of ‖W‖²")
    canvas.legend_below(figure, axes)
    return plot("lens_energy", "Cumulative energy", "Dotted: where 50, 90 and 99 % are reached.", figure)


def _from_zero(spectrum: Facts) -> list[float]:
    return [0.0, *spectrum["cumulative_energy"]]
