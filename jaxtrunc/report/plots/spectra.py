"""How the energy of the updates is spread over components, per module type."""

from statistics import median

import numpy as np

from jaxtrunc.report import canvas
from jaxtrunc.report.canvas import INK, Plot
from jaxtrunc.report.study import Results
from jaxtrunc.report.tensors import Spectrum, by_module

COLUMNS = ("module", "k", "median_share", "lowest_share", "highest_share", "flat_share", "matrices")


def draw(results: Results) -> list[Plot]:
    """One plot with a panel per module type: share of ‖ΔW‖² in the leading k components."""
    modules = {name: group for name, spectra in by_module(results).items() if (group := [s for s in spectra if s.curve])}
    if not modules:
        return []
    count = -(-len(modules) // 2)
    figure = canvas.new_figure(0.5 + 1.4 * count)
    grid = list(figure.subplots(count, 2, sharey=True, squeeze=False).flat)
    rows = []
    for axes, (name, group) in zip(grid, modules.items(), strict=False):
        rows += _draw_panel(axes, name, group)
    for axes in grid[len(modules):]:
        axes.remove()
    figure.supxlabel("leading components k", fontsize=10)
    figure.supylabel("share of ‖ΔW‖²", fontsize=10)
    caption = ("Line: median over layers; band: lowest to highest layer; dashed: a flat spectrum of the same rank, which the "
               "curve would follow if all components were alike.")
    return [Plot("spectra", "Energy in the leading components", caption, figure, COLUMNS, rows)]


def _draw_panel(axes, name: str, group: list[Spectrum]) -> list[tuple]:
    rank = max(spectrum.rank for spectrum in group)
    ks = sorted({k for spectrum in group for k, _ in spectrum.curve})
    shares = np.array([_share(spectrum, ks) for spectrum in group])
    middle, low, high = [median(column) for column in shares.T], shares.min(axis=0), shares.max(axis=0)
    flat = [min(k / rank, 1.0) for k in ks]
    axes.fill_between(ks, low, high, color=canvas.COLOURS["top_k"], alpha=0.25, linewidth=0)
    axes.plot(ks, middle, color=canvas.COLOURS["top_k"])
    axes.plot(ks, flat, color=INK, linewidth=0.9, linestyle="--", alpha=0.7)
    canvas.rank_axis(axes, ks, most=6)
    axes.set_xlim(left=min(ks))
    axes.set_ylim(0, 1.03)
    axes.set_title(f"{name} ({len(group)})", fontsize=9.5, loc="left")
    return [(name, k, m, lo, hi, f, len(group)) for k, m, lo, hi, f in
            zip(ks, middle, low.tolist(), high.tolist(), flat, strict=True)]


def _share(spectrum: Spectrum, ks: list[int]) -> np.ndarray:
    """The curve at `ks`, linear in log k between the points that are known; from the rank on it is 1."""
    known = sorted({*spectrum.curve, (spectrum.rank, 1.0)})
    return np.interp(np.log(ks), np.log([k for k, _ in known]), [share for _, share in known])
