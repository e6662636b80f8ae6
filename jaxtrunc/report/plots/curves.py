"""Accuracy and gap against k (or against α, τ, ρ, a fraction, a share), one curve per operator, with bands."""

from jaxtrunc.report import canvas, study, wording
from jaxtrunc.report.canvas import Plot
from jaxtrunc.report.study import Results, Variant

COLUMNS = ("operator", "axis", "x", "value_points", "low_points", "high_points", "seeds")
FILE_AXIS = {"k": "k", "K": "global_k", "fraction": "fraction", "α": "alpha", "τ": "tau", "ρ": "rho", "share": "share"}


def draw(results: Results) -> list[Plot]:
    """Per axis, and for norm-matched controls apart: one plot of accuracy and one of the gap."""
    groups = _groups(study.variants(results))
    quantities = (("accuracy", study.accuracy_metric(results)), ("gap", "gap"))
    plots = (_plot(results, axis, matched, members, *quantity)
             for (axis, matched), members in groups.items() for quantity in quantities)
    return [plot for plot in plots if plot]


def _groups(variants: list[Variant]) -> dict[tuple[str, bool], list[Variant]]:
    """Variants that share an axis; beside norm-matched controls stands top_k itself, whose norm they have."""
    groups: dict[tuple[str, bool], list[Variant]] = {}
    for variant in variants:
        if variant.axis:
            groups.setdefault((variant.axis, variant.norm_matched), []).append(variant)
    for (axis, matched), members in groups.items():
        if matched:
            members[:0] = [v for v in groups.get((axis, False), []) if v.operator == "top_k"]
    return groups


def _plot(results: Results, axis: str, matched: bool, members: list[Variant], name: str, key: str) -> Plot | None:
    curves = {variant: study.curve(results, variant, study.metric(key)) for variant in members}
    if not any(curves.values()):
        return None
    figure = canvas.new_figure()
    axes = figure.subplots()
    for variant, points in curves.items():
        _draw_curve(axes, variant, points)
    frame(axes, results, axis, key, [point.x for points in curves.values() for point in points])
    canvas.legend_below(figure, axes)
    what, suffix = ("Gap" if name == "gap" else key.replace("_", " ").capitalize()), "_norm_matched" if matched else ""
    title = f"{what} against {wording.axis_name(axis)}{', controls at the norm of top_k' if matched else ''}"
    return Plot(f"{name}_vs_{FILE_AXIS[axis]}{suffix}", title, _caption(curves), figure, COLUMNS, _rows(curves))


def _draw_curve(axes, variant: Variant, points: list[study.Point]) -> None:
    if not points:
        return
    look = canvas.line_of(variant)
    axes.plot([p.x for p in points], [100 * p.estimate.value for p in points], **look)
    banded = [p for p in points if p.estimate.low is not None and p.estimate.high is not None]
    if banded:
        low, high = ([100 * end for end in ends] for ends in zip(*((p.estimate.low, p.estimate.high) for p in banded),
                                                                 strict=True))
        axes.fill_between([p.x for p in banded], low, high, color=look["color"], alpha=0.13, linewidth=0)


def frame(axes, results: Results, axis: str, key: str, xs: list[float]) -> None:
    """What stands around curves of one metric: the axis, both end points, k* and the titles."""
    if axis in ("k", "K"):
        canvas.rank_axis(axes, xs)
    for end in ("base", "ft"):
        estimate = study.at_endpoint(results, end, key)
        if estimate:
            canvas.reference_line(axes, 100 * estimate.value, {"base": "base", "ft": "FT"}[end])
    chosen = study.selected_k(results)
    if axis == "k" and chosen is not None:
        canvas.mark_selected(axes, chosen)
    axes.set_xlabel(wording.axis_title(axis))
    axes.set_ylabel("gap (pp)" if key == "gap" else f"{key.replace('_', ' ')} (%)")


def _caption(curves: dict[Variant, list[study.Point]]) -> str:
    points = [point for curve in curves.values() for point in curve]
    parts = ["Dashed: the two end points."]
    if any(point.seeds == 1 and point.estimate.low is not None for point in points):
        parts.append("Bands: 95 % intervals over examples.")
    if any(point.seeds > 1 for point in points):
        parts.append(f"{'; '.join(v.label for v, c in curves.items() if any(p.seeds > 1 for p in c))}: mean over seeds, "
                     "band: range over seeds.")
    return " ".join(parts)


def _rows(curves: dict[Variant, list[study.Point]]) -> list[tuple]:
    return [(variant.label, variant.axis, point.x, *wording.in_points(point.estimate), point.seeds)
            for variant, points in curves.items() for point in points]
