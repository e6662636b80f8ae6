"""What each operator retains of the accuracy gained and of the gap acquired in fine-tuning."""

from jaxtrunc.report import canvas, study, wording
from jaxtrunc.report.canvas import INK, Plot
from jaxtrunc.report.study import Point, Results, Variant

COLUMNS = ("operator", "axis", "x", "quantity", "value", "low", "high", "seeds")
QUANTITIES = {"ret_acc": "accuracy retained", "ret_gap": "gap retained"}
CLIP = (-0.5, 1.5)
CAPTION = ("0 is the base model, 1 the fine-tuned one. Where the accuracy curve (dark) runs above the gap curve (coloured), "
           "accuracy outlives the gap. Values outside −0.5 to 1.5 are cut off.")
Panel = dict[str, list[Point]]


def draw(results: Results) -> list[Plot]:
    """One plot with a panel per variant, or none where retention is null everywhere."""
    panels = {variant: panel for variant in filter(_has_panel, study.variants(results)) if any(
        (panel := {name: study.curve(results, variant, study.comparison(name)) for name in QUANTITIES}).values())}
    if not panels:
        return []
    count = -(-len(panels) // 2)
    figure = canvas.new_figure(0.7 + 1.5 * count)
    grid = list(figure.subplots(count, 2, sharey=True, squeeze=False).flat)
    for axes, (variant, panel) in zip(grid, panels.items(), strict=False):
        _draw_panel(axes, variant, panel)
    for axes in grid[len(panels):]:
        axes.remove()
    low, high = grid[0].get_ylim()  # shared: base (0) and FT (1) are always in sight, outliers are cut off
    grid[0].set_ylim(max(min(low, -0.1), CLIP[0]), min(max(high, 1.1), CLIP[1]))
    canvas.legend_below(figure, next(iter(figure.axes)))
    rows = [(v.label, v.axis, p.x, name, p.estimate.value, p.estimate.low, p.estimate.high, p.seeds)
            for v, panel in panels.items() for name, points in panel.items() for p in points]
    return [Plot("decoupling", "Accuracy and gap retained", CAPTION, figure, COLUMNS, rows)]


def _has_panel(variant: Variant) -> bool:
    """Plain operators and interpolation in every form; the other norm-matched ones stand in the table of controls."""
    return variant.axis in ("k", "K", "fraction", "α", "share") and (not variant.norm_matched or variant.operator == "interpolate")


def _draw_panel(axes, variant: Variant, panel: Panel) -> None:
    colour = canvas.line_of(variant)["color"]
    looks = {"ret_acc": {"color": INK, "marker": "o", "linestyle": "-"},
             "ret_gap": {"color": colour, "marker": "s", "linestyle": "--"}}
    for name, points in panel.items():
        xs = [p.x for p in points]
        axes.plot(xs, [p.estimate.value for p in points], label=QUANTITIES[name], markersize=3.5, **looks[name])
        banded = [p for p in points if p.estimate.low is not None and p.estimate.high is not None]
        axes.fill_between([p.x for p in banded], [p.estimate.low for p in banded], [p.estimate.high for p in banded],
                          color=looks[name]["color"], alpha=0.13, linewidth=0)
    if variant.axis in ("k", "K"):
        canvas.rank_axis(axes, [p.x for points in panel.values() for p in points], most=6)
    axes.set_title(wording.variant_name(variant), fontsize=9.5, loc="left")
