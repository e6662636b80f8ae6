"""One plot per script, in the look of the reports: bars of CPU seconds per way, or curves over a size."""

from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.transforms import blended_transform_factory
from suite.markdown import exponent, number

from jaxtrunc.report.canvas import INK, Plot, new_figure, style

OURS, THEIRS, BAR = "#1478b8", "#d98a00", 0.26  # inches a bar
COLOURS = (OURS, THEIRS, "#0a9a72", "#c2649b", "#6f2c91", "#a3123f")
MARKERS = "osv^DP"
WIDE = 30  # longest over shortest bar


def draw(name: str, result: dict[str, Any], directory: Path) -> bool:
    """Write NAME.svg, .png and .csv if there is something to draw."""
    if not (result["curves"] or result["comparisons"]):
        return False
    with style():
        plot = curves(name, result) if result["curves"] else bars(name, result)
        plot.write(directory)
    return True


def bars(name: str, result: dict[str, Any]) -> Plot:
    """A block of horizontal bars per comparison, on one axis; ours first and in its own colour."""
    shown = [(comparison, [row for row in comparison["rows"] if row["cpu"]]) for comparison in result["comparisons"]]
    figure = new_figure(0.9 + BAR * sum(len(rows) + 1.4 for _, rows in shown))
    axes, place, ticks, drawn = figure.add_subplot(), 0.0, [], []
    margin = blended_transform_factory(figure.transFigure, axes.transData)  # titles are longer than the axes are wide
    for comparison, rows in shown:
        axes.text(0.01, place, comparison["title"], transform=margin, va="center", fontsize=9, weight="bold", in_layout=False)
        for at, row in enumerate(rows):
            place += 1
            taken = median(row["cpu"])
            axes.barh(place, taken, color=THEIRS if at else OURS, height=0.75)
            axes.text(taken, place, f" {number(taken)} s", va="center", fontsize=8)
            ticks.append((place, row["name"]))
            drawn.append((comparison["title"], row["name"], taken))
        place += 1.4
    axes.set_yticks(*zip(*ticks, strict=True), fontsize=8)
    axes.set_ylim(place - 0.4, -0.7)
    axes.spines["left"].set_visible(False)  # it would run through the titles
    axes.tick_params(axis="y", length=0)
    seconds = [entry[-1] for entry in drawn]
    logarithmic = max(seconds) > WIDE * min(seconds)  # bars have to begin at 0 unless the short ones would vanish
    axes.set_xscale("log" if logarithmic else "linear")
    axes.margins(x=0.12)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"CPU seconds{' (logarithmic)' if logarithmic else ''}")
    return Plot(name, result["question"], "", figure, ("comparison", "way", "median_cpu_seconds"), drawn)


def curves(name: str, result: dict[str, Any]) -> Plot:
    """A panel per axis, both logarithmic; the dashed line rises as expected from the first point."""
    axes_of = list(dict.fromkeys(curve["axis"] for curve in result["curves"]))
    figure = new_figure(2.5 * -(-len(axes_of) // 2) + 0.3)
    panels = figure.subplots(-(-len(axes_of) // 2), 2, squeeze=False).flat
    drawn = []
    for axis, panel in zip(axes_of, panels, strict=False):
        for number_of, curve in enumerate(curve for curve in result["curves"] if curve["axis"] == axis):
            sizes, seconds = curve["sizes"], curve["seconds"]
            panel.plot(sizes, seconds, marker=MARKERS[number_of], color=COLOURS[number_of],
                       label=f"{curve['name']}: {exponent(curve):.2f} ({curve['expected']:g})")
            panel.plot(sizes, [seconds[0] * (size / sizes[0]) ** curve["expected"] for size in sizes], color=INK, alpha=0.5,
                       linewidth=1, linestyle=(0, (4, 3)))
            drawn += [(axis, curve["name"], size, second) for size, second in zip(sizes, seconds, strict=True)]
        panel.set(xscale="log", yscale="log", xlabel=axis, ylabel="CPU seconds")
        panel.legend(fontsize=7)
    for panel in panels:
        panel.set_axis_off()
    return Plot(name, result["question"], "", figure, ("axis", "curve", "size", "cpu_seconds"), drawn)
