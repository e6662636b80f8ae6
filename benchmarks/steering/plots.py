"""Pareto fronts and the share of matrices that fire, in the look of the reports."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from steering.cells import METHODS, TASKS, TITLES, WEIGHTS, Cell
from steering.numbers import Found, mean

from jaxtrunc.report.canvas import legend_below, new_figure, style

COLOURS = dict(zip(METHODS, ("#6b7280", "#1b1f24", "#0a9a72", "#46a9dc", "#6f2c91", "#8a6d5a", "#cf5a00", "#a3123f"), strict=True))
MARKERS = dict(zip(METHODS, "so^vDPX*", strict=True))
FAINT = 0.45

Point = tuple[Cell, list[Found]]  # one setting, over its seeds


def pareto(task: str, settings: Mapping[str, Sequence[Point]], better: Mapping[str, str], file: Path) -> None:
    """The two metrics that are traded for each other; a line for each method over weights, one over learning rates.

    Args:
      settings: method → its settings, that of the grid first.
      file: a .png, written here.
    """
    up, across = list(better)[:2]
    with style():
        figure = new_figure(4.6)
        axes = figure.subplots()
        for method, points in settings.items():
            _draw_method(axes, method, points, across, up)
        axes.set(xlabel=_axis(across, better), ylabel=_axis(up, better), title=task.replace("_", " "))
        _staircase(axes, [point for points in settings.values() for point in points], (across, up), better)
        legend_below(figure, axes)
        figure.savefig(file, facecolor="white", metadata={"Software": None})


def _draw_method(axes: Any, method: str, points: Sequence[Point], across: str, up: str) -> None:
    look: dict[str, Any] = {"color": COLOURS[method], "marker": MARKERS[method], "linestyle": "none"}
    grid = points[0][0]
    over_weights = sorted((point for point in points if point[0].rate == grid.rate), key=lambda point: point[0].weight)
    path = [[_mean(point, name).value for point in over_weights] for name in (across, up)]
    axes.plot(*path, color=COLOURS[method], linewidth=0.9, alpha=FAINT)
    for point in points[1:]:
        axes.plot(_mean(point, across).value, _mean(point, up).value, **look, alpha=FAINT, markersize=3 + _size(point[0]))
    x, y = _mean(points[0], across), _mean(points[0], up)
    axes.errorbar(x.value, y.value, xerr=[[x.value - x.low], [x.high - x.value]], yerr=[[y.value - y.low], [y.high - y.value]],
                  **look, label=TITLES[method], elinewidth=0.8, markersize=7, zorder=3)


def _size(cell: Cell) -> float:
    """The larger the constraint's weight, the larger the point."""
    return float(WEIGHTS.index(cell.weight))


def _staircase(axes: Any, points: Sequence[Point], names: tuple[str, str], better: Mapping[str, str]) -> None:
    """The front of all settings: none is better in both metrics than one on it."""
    signs = np.array([1 if better[name] == "higher" else -1 for name in names])
    values = np.array([[_mean(point, name).value for name in names] for point in points])
    held = np.array([not (signs * values > signs * one).all(1).any() for one in values])
    front = values[held][np.argsort(values[held][:, 0])]
    axes.plot(front[:, 0], front[:, 1], color="#777777", linestyle=":", linewidth=1, zorder=1)


def fired(shares: Mapping[str, np.ndarray], file: Path) -> None:
    """Share of each layer's matrices that fire, step by step.

    Args:
      shares: task → (layers, steps), means over seeds.
    """
    with style():
        figure = new_figure(4.4)
        for axes, task in zip(figure.subplots(2, 2, sharex=True, sharey=True).flat, TASKS, strict=True):
            for layer, share in enumerate(shares[task]):
                axes.plot(np.arange(len(share)), share, label=f"layer {layer}", linewidth=1.2)
            axes.set(title=task.replace("_", " "), ylim=(0, 1.03))
        figure.supxlabel("step")
        figure.supylabel("share of the matrices that fire")
        figure.axes[0].legend(fontsize=8)
        figure.savefig(file, facecolor="white", metadata={"Software": None})


def _mean(point: Point, name: str) -> Any:
    return mean([found["test"][name] for found in point[1]])


def _axis(name: str, better: Mapping[str, str]) -> str:
    return f"{name.replace('_', ' ')} ({better[name]} is better)"
