"""The spectra of many runs side by side, and how far apart they are."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxtrunc.report import canvas
from jaxtrunc.report.canvas import COLOURS, INK, Plot
from jaxtrunc.report.collect_facts import Run
from jaxtrunc.report.tensors import Spectrum, by_module

COLUMNS = ("run", "share_of_components", "median_share_of_energy")
SHARES = np.geomspace(1e-3, 1, 40)
PALETTE = tuple(COLOURS.values())


def draw(runs: Sequence[Run], similarity: Sequence[dict[str, Any]]) -> list[Plot]:
    """Energy against components, a panel per base model; and the distances between runs."""
    with canvas.style():
        return [plot for plot in (_curves(runs), _distances(similarity)) if plot]


def _curves(runs: Sequence[Run]) -> Plot | None:
    curves = {run.name: curve for run in runs if (curve := _median_curve(run)) is not None}
    bases = list(dict.fromkeys(run.base for run in runs if run.name in curves))
    if not bases:
        return None
    tasks = list(dict.fromkeys(run.task for run in runs if run.name in curves))
    figure = canvas.new_figure(0.9 + 2.2 * -(-len(bases) // 2) + 0.2 * -(-len(tasks) // 3))
    grid = list(figure.subplots(-(-len(bases) // 2), min(len(bases), 2), sharey=True, squeeze=False).flat)
    for axes in grid[len(bases):]:
        axes.remove()
    for axes, base in zip(grid, bases, strict=False):
        _draw_panel(axes, base, [run for run in runs if run.base == base and run.name in curves], tasks, curves)
    figure.supylabel("share of ‖ΔW‖²", fontsize=10)
    _legend(figure, grid[: len(bases)])
    rows = [(name, x, y) for name, curve in curves.items() for x, y in zip(SHARES.tolist(), curve.tolist(), strict=True)]
    return Plot("spectra", "Energy in the leading components", "Median over the matrices of a run, one line a run; dashed: flat.",
                figure, COLUMNS, rows)


def _draw_panel(axes: Any, base: str, runs: Sequence[Run], tasks: list[str], curves: dict[str, np.ndarray]) -> None:
    for run in runs:
        colour = PALETTE[tasks.index(run.task) % len(PALETTE)]
        axes.plot(SHARES, curves[run.name], color=colour, linewidth=1.3, alpha=0.8, label=run.task)
    axes.plot(SHARES, SHARES, color=INK, linewidth=0.9, linestyle="--", alpha=0.7)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.03)
    axes.set_xlabel("share of the components", fontsize=9)
    axes.set_title(base, fontsize=9.5, loc="left")


def _legend(figure: Any, panels: Sequence[Any]) -> None:
    named = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=2, fontsize=9)


def _median_curve(run: Run) -> np.ndarray | None:
    curves = [_at_shares(spectrum) for group in by_module(run.results).values() for spectrum in group if spectrum.curve]
    return np.median(np.stack(curves), axis=0) if curves else None


def _at_shares(spectrum: Spectrum) -> np.ndarray:
    """The energy curve against k / rank, linear in the logarithm; below one component, from 0."""
    known = sorted({(0, 0.0), *spectrum.curve, (spectrum.rank, 1.0)})
    ks = np.array([max(k, 1e-3) for k, _ in known])
    return np.interp(np.log(SHARES * spectrum.rank), np.log(ks), [share for _, share in known])


def _distances(similarity: Sequence[dict[str, Any]]) -> Plot | None:
    """A matrix of distances between runs."""
    names = list(dict.fromkeys(name for pair in similarity for name in (pair["a"], pair["b"])))
    if not names:
        return None
    table = np.full((len(names), len(names)), np.nan)
    for pair in similarity:
        i, j = names.index(pair["a"]), names.index(pair["b"])
        table[i, j] = table[j, i] = pair["value"]
    figure = canvas.new_figure(2.0 + 0.3 * len(names))
    axes = figure.subplots()
    mesh = axes.pcolormesh(np.ma.masked_invalid(table), cmap="cividis", vmin=0)
    figure.colorbar(mesh, ax=axes, pad=0.02)
    axes.grid(False)
    axes.invert_yaxis()
    places = np.arange(len(names)) + 0.5
    axes.set_yticks(places, names, fontsize=8)
    axes.set_xticks(places, names, fontsize=8, rotation=40, ha="right")
    rows = [(pair["a"], pair["b"], pair["value"]) for pair in similarity]
    return Plot("similarity", "Distance between spectra", "Largest difference of cumulative energy between two runs of one base "
                "model; 0: the same spectrum up to scale. Blank: not compared.", figure, ("a", "b", "distance"), rows)
