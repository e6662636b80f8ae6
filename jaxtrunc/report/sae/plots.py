"""One picture of all adapters: what they refuse of what they should, and of what they should not."""

from typing import Any

from jaxtrunc.report.canvas import Plot, new_figure, style

COLOURS = {"subspace": "#1478b8", "random_u": "#0a9a72", "mean_diff": "#d98a00", "pca_diff": "#cf5a00", "cov_diff": "#c2649b",
           "shuffled": "#7a8b3c", "lora": "#6f2c91"}
MARKERS = "osD^vP*Xh<>pd"


def refusals(results: dict[str, Any]) -> list[Plot]:
    """Refusals of unsafe against safe prompts, a point for each seed and its interval; nothing if nothing was asked."""
    rows = [(facts["group"], facts["init"], name, facts) for name, facts in results["adapters"].items() if _has_both(facts)]
    if results["base"] and _has_both(results["base"]):
        rows.append(("base", "base", "base", results["base"]))
    if not rows:
        return []
    groups = list(dict.fromkeys(group for group, *_ in rows))
    with style():
        figure = new_figure(4.4)
        axes = figure.subplots()
        for group, init, name, facts in rows:
            (x, x_off), (y, y_off) = (_point(facts, rate) for rate in ("over_refusal_rate", "refusal_rate"))
            first = name == next(other for key, _, other, _ in rows if key == group)
            axes.errorbar(x, y, xerr=[[off] for off in x_off], yerr=[[off] for off in y_off], elinewidth=0.7,
                          marker=MARKERS[groups.index(group) % len(MARKERS)], linestyle="none",
                          color=COLOURS.get(init, "#57606a"), label=group if first else None)
        axes.set(xlabel="refused of safe prompts (%)", ylabel="refused of unsafe prompts (%)", xlim=(-3, 103), ylim=(-3, 103))
        figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    caption = "Top left is best. A point per seed, bars are 95% intervals over prompts; the phrase list decides what a refusal is."
    shown = [(group, name, *(100 * facts["metrics"][rate] for rate in ("over_refusal_rate", "refusal_rate")))
             for group, _, name, facts in rows]
    return [Plot("refusals", "Refusals of unsafe and of safe prompts", caption, figure,
                 ("group", "adapter", "over_refusal", "refusal"), shown)]


def _has_both(facts: dict[str, Any]) -> bool:
    return all(facts["metrics"].get(rate) is not None for rate in ("refusal_rate", "over_refusal_rate"))


def _point(facts: dict[str, Any], rate: str) -> tuple[float, tuple[float, float]]:
    """A rate in per cent and its distances to both limits."""
    value, (low, high) = facts["metrics"][rate], facts["intervals"][rate]
    return 100 * value, (100 * max(value - low, 0.0), 100 * max(high - value, 0.0))
