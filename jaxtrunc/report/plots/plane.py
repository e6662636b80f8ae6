"""The gap–accuracy plane: what each operator pays in accuracy for a smaller gap. Interpolation is the path to beat."""

from typing import Any

from jaxtrunc.report import canvas, study
from jaxtrunc.report.canvas import INK, Plot
from jaxtrunc.report.study import Estimate, Results, Variant

COLUMNS = ("operator", "axis", "x", "accuracy_points", "gap_points")
Step = tuple[float, Estimate, Estimate]  # place on the axis, accuracy, gap
LEADING = ("top_k", "interpolate")


def draw(results: Results) -> list[Plot]:
    """One plot, or none where there is no gap."""
    paths = {variant: path for variant in _drawn(results) if (path := _path(results, variant))}
    if not paths:
        return []
    figure = canvas.new_figure(5.0)
    axes = figure.subplots()
    for variant, path in paths.items():
        _draw_path(axes, variant, path)
    _ends(axes, results)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_xlabel(f"{study.accuracy_metric(results).replace('_', ' ')} (%)")
    axes.set_ylabel("gap (pp)")
    canvas.legend_below(figure, axes)
    rows = [(v.label, v.axis, x, 100 * a.value, 100 * g.value) for v, path in paths.items() for x, a, g in path]
    return [Plot("gap_accuracy_plane", "Gap against accuracy", _caption(paths), figure, COLUMNS, rows)]


def _drawn(results: Results) -> list[Variant]:
    """Plain variants, and interpolation in every form; of one variant on several axes the first (k before others)."""
    chosen: dict[str, Variant] = {}
    for variant in study.variants(results):
        if not variant.norm_matched or variant.operator == "interpolate":
            chosen.setdefault(variant.label, variant)
    return list(chosen.values())


def _path(results: Results, variant: Variant) -> list[Step]:
    accuracy, gap = study.metric(study.accuracy_metric(results)), study.metric("gap")
    steps = ((x, study.pooled(records, accuracy), study.pooled(records, gap)) for x, records in study.levels(results, variant))
    return [(x, a, g) for x, a, g in steps if a and g]


def _draw_path(axes, variant: Variant, path: list[Step]) -> None:
    leading = variant.operator in LEADING
    xs, ys = [100 * a.value for _, a, _ in path], [100 * g.value for _, _, g in path]
    faint: dict[str, Any] = {} if leading else {"alpha": 0.55, "linewidth": 1.1, "markersize": 3.5}
    look = canvas.line_of(variant) | faint
    axes.plot(xs, ys, zorder=3 if leading else 2, **look)
    if leading:
        _draw_intervals(axes, path, look["color"])
        if not variant.norm_matched:
            _name_steps(axes, variant, path, look["color"])


def _draw_intervals(axes, path: list[Step], colour: str) -> None:
    for _, a, g in path:
        for estimate, other, vertical in ((a, g, False), (g, a, True)):
            if estimate.low is None or estimate.high is None:
                continue
            span, at = (100 * estimate.low, 100 * estimate.high), (100 * other.value,) * 2
            axes.plot(*((at, span) if vertical else (span, at)), color=colour, linewidth=0.8, alpha=0.35, zorder=1)


def _name_steps(axes, variant: Variant, path: list[Step], colour: str) -> None:
    """k beside the points of top_k, α beside those of interpolation; on opposite sides, so that they stay apart."""
    below = variant.operator == "top_k"
    for x, a, g in (path[1:-1] if below else path)[:: -(-len(path) // 8)]:  # base and FT, at the ends of top_k, have names
        axes.annotate(f"{x:g}", (100 * a.value, 100 * g.value), xytext=(6, -9) if below else (-6, 6),
                      textcoords="offset points", ha="left" if below else "right", fontsize=8, color=colour)


def _ends(axes, results: Results) -> None:
    for name, text in (("base", "base"), ("ft", "FT")):
        accuracy = study.at_endpoint(results, name, study.accuracy_metric(results))
        gap = study.at_endpoint(results, name, "gap")
        if accuracy and gap:
            _ring(axes, accuracy, gap, text, below=True)
    chosen = study.selected_record(results)
    if chosen and chosen["operator"] == "top_k":  # else it is an end point, which has its ring
        accuracy, gap = study.metric(study.accuracy_metric(results))(chosen), study.metric("gap")(chosen)
        if accuracy and gap:
            _ring(axes, accuracy, gap, "k*", below=False)


def _ring(axes, accuracy: Estimate, gap: Estimate, text: str, *, below: bool) -> None:
    at = (100 * accuracy.value, 100 * gap.value)
    axes.plot(*at, marker="o", markersize=12, markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1.2, zorder=4)
    axes.annotate(text, at, xytext=(8, -14) if below else (-9, 6), textcoords="offset points", ha="left" if below else "right",
                  fontsize=9, fontweight="bold")


def _caption(paths: dict[Variant, list[Step]]) -> str:
    said = ("Better is right (accurate) and near the line at 0 (no gap). Numbers are k along top_k and α along interpolation; "
            "a spectral effect is one where top_k runs nearer to 0 than interpolation at the same accuracy.")
    if not any(variant.operator == "interpolate" for variant in paths):
        return f"{said} Interpolation was not run, so this plane cannot show such an effect."
    return said
