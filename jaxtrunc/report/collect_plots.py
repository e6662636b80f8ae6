"""Plots across runs, one line or panel each."""

from collections.abc import Callable, Sequence
from typing import Any

from jaxtrunc.report import canvas, study, wording
from jaxtrunc.report.canvas import COLOURS, INK, Plot
from jaxtrunc.report.collect_facts import Run
from jaxtrunc.report.collect_outcomes import TOLERANCE_PP
from jaxtrunc.report.study import Estimate

COLUMNS = ("run", "quantity", "value", "low", "high")
LINE = 0.24  # inches per run
Read = Callable[[Run], Estimate | None]


def draw(runs: Sequence[Run]) -> list[Plot]:
    """Gap and accuracy before and after, reduction, loss, and the advantage over each control; only what is known."""
    with canvas.style():
        plots = [_before_and_after(runs, "gaps", "Gap", lambda run, end: run.at(end, "gap"), "gap (pp)", 0.0),
                 _before_and_after(runs, "accuracies", "Accuracy", lambda run, end: run.accuracy(end), "accuracy (%)", None),
                 _numbers(runs, "losses", "Accuracy given up at k*", "Left of the line: under 2 points.", "L(k*) (pp)",
                          lambda run: study.estimate_of(run.compared("loss_pp")), TOLERANCE_PP),
                 _reductions(runs), *_advantages(runs)]
        return [plot for plot in plots if plot]


def _before_and_after(runs: Sequence[Run], name: str, title: str, read: Callable[[Run, str], Estimate | None], axis: str,
                      zero: float | None) -> Plot | None:
    """Base (tick), FT (ring) and k* (dot), joined from FT to k*."""
    known = [run for run in runs if read(run, "ft")]
    if not known:
        return None
    figure, axes = _lines(known)
    looks = {"base": ("|", "base"), "ft": ("o", "FT"), "selected": ("o", "k*")}
    rows = []
    for y, run in enumerate(known):
        points = {end: estimate for end in looks if (estimate := read(run, end))}
        if "selected" in points:
            axes.plot([100 * points[end].value for end in ("ft", "selected")], [y, y], color=INK, linewidth=1, alpha=0.5, zorder=1)
        for end, estimate in points.items():
            marker, label = looks[end]
            colour = COLOURS["top_k"] if end == "selected" else INK
            _dot(axes, Estimate(*wording.in_points(estimate)), y, colour, label=label if y == 0 else None, marker=marker,
                 markerfacecolor=colour if end == "selected" else "none")
            rows.append((run.name, end, *wording.in_points(estimate)))
    if zero is not None:
        axes.axvline(zero, color=INK, linewidth=0.8)
    axes.set_xlabel(axis)
    canvas.legend_below(figure, axes)
    return Plot(name, f"{title} before and after", "Ring: fine-tuned; dot: cut at k*; tick: base. Lines: 95 % intervals.", figure,
                COLUMNS, rows)


def _numbers(runs: Sequence[Run], name: str, title: str, caption: str, axis: str, read: Read, limit: float) -> Plot | None:
    """One number per run with its interval, and the line that a claim draws."""
    known = [(run, estimate) for run in runs if (estimate := read(run))]
    if not known:
        return None
    figure, axes = _lines([run for run, _ in known])
    for y, (_, estimate) in enumerate(known):
        _dot(axes, estimate, y, COLOURS["top_k"], marker="o")
    axes.axvline(limit, color=INK, linewidth=1, linestyle="--")
    axes.set_xlabel(axis)
    rows = [(run.name, name, e.value, e.low, e.high) for run, e in known]
    return Plot(name, title, f"{caption} Lines: 95 % intervals.", figure, COLUMNS, rows)


def _reductions(runs: Sequence[Run]) -> Plot | None:
    plot = _numbers(runs, "reductions", "Reduction of the gap", "R = |gap of FT| / |gap at k*|, right of the line: reduced. A run "
                    "whose gap at k* may be 0 has no R and is not drawn.", "R(k*)",
                    lambda run: study.estimate_of(run.compared("reduction")), 1.0)
    if plot:
        axes = plot.figure.axes[0]
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}×")
    return plot


def _advantages(runs: Sequence[Run]) -> list[Plot]:
    """A plot per control: its gap beyond that of top_k, at matched accuracy."""
    names = list(dict.fromkeys(name for run in runs for name in run.versus("advantage")))
    plots = (_numbers(runs, f"advantage_{name.replace(' ', '_')}", f"Advantage over {name}",
                      "Right of the line: the control leaves the larger gap at the accuracy of top_k.",
                      "|gap| − |gap of top_k| (pp)", lambda run, name=name: _advantage(run, name), 0.0) for name in names)
    return [plot for plot in plots if plot]


def _advantage(run: Run, name: str) -> Estimate | None:
    estimate = study.estimate_of(run.versus("advantage").get(name))
    return estimate and Estimate(*wording.in_points(estimate))


def _lines(runs: Sequence[Run]) -> tuple[Any, Any]:
    """A figure with one named line per run, the first on top."""
    figure = canvas.new_figure(1.3 + LINE * len(runs))
    axes = figure.subplots()
    axes.set_yticks(range(len(runs)), [run.name for run in runs], fontsize=8)
    axes.set_ylim(len(runs) - 0.4, -0.6)
    return figure, axes


def _dot(axes: Any, estimate: Estimate, y: float, colour: str, **look: Any) -> None:
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [y, y], color=colour, linewidth=1.6, alpha=0.45, zorder=2)
    axes.plot([estimate.value], [y], color=colour, linestyle="none", zorder=3, **look)
