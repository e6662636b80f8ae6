"""Run the synthetic theory benchmark and write docs/sae_theory.md's numbers and plots:  python tests/sae/theory_page.py [--seeds N]

Trained cases are kept in runs/sae_theory.jsonl, so that a second start continues. Between the two marks the page is replaced,
all else in it is written by hand.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from theory_planted import DRAWS, D, Planted, R
from theory_trained import BASE, SWEEPS, collect

from jaxtrunc.report.canvas import INK, new_figure, style
from jaxtrunc.sae.theory import raw_floor

ROOT = Path(__file__).parents[2]
PAGE, IMAGES, RECORDS = ROOT / "docs" / "sae_theory.md", ROOT / "docs" / "images", ROOT / "runs" / "sae_theory.jsonl"
MARKS = "<!-- numbers: written by tests/sae/theory_page.py -->", "<!-- end of numbers -->"
LOOKS: dict[str, dict[str, Any]] = {
    "sae": {"label": "SAE, r features", "color": "#1478b8", "marker": "o"},
    "sae_weighted": {"label": "SAE, 2r features × Δ", "color": "#46a9dc", "marker": "D", "linestyle": "--"},
    "sae_unweighted": {"label": "SAE, 2r features, no weights", "color": "#6f2c91", "marker": "s", "linestyle": "--"},
    "cov_diff": {"label": "cov_diff (raw, rank r)", "color": "#0a9a72", "marker": "^"},
    "pca_diff": {"label": "pca_diff (raw, rank r)", "color": "#d98a00", "marker": "v"},
    "one": {"label": "mean difference (raw, one direction)", "color": "#6b7280", "marker": "x"},
    "random_u": {"label": "random, rank r", "color": "#a3123f", "marker": "", "linestyle": ":"}}
AXES = {"noise": "noise per coordinate σ", "concepts": "N/d (n = 2N)", "n": "dictionary width n (N = 48)", "k": "k", "r": "r"}


def main() -> None:
    """Measure what is missing, draw, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--records", type=Path, default=RECORDS)
    given = parser.parse_args()
    records = collect(given.records, given.seeds)
    planted = Planted()
    with style():
        save(draw_planted(planted), "sae_planted")
        save(draw_trained(records), "sae_trained")
    before, rest = PAGE.read_text().split(MARKS[0])
    lines = [*planted_lines(planted), "", *trained_table(records)]
    PAGE.write_text(before + "\n".join([MARKS[0], "", *lines, "", MARKS[1]]) + rest.split(MARKS[1])[1])


def save(figure: Any, name: str) -> None:
    """A PNG of docs/images, the same bytes for the same numbers."""
    figure.savefig(IMAGES / f"{name}.png", facecolor="white", dpi=110, metadata={"Software": None})


def draw_planted(planted: Planted) -> Any:
    """E over ν and over ε, with what the theory promises and what the raw baselines reach."""
    figure = new_figure(4.2)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, found in ((left, planted.moved()), (right, planted.mixed())):
        x = [row["x"] for row in found]
        axes.plot(x, [row["random"] for row in found], color="#1478b8", label="SAE rows, random error")
        axes.plot(x, [row["worst"] for row in found], color="#1478b8", linestyle="--", label="SAE rows, aimed error")
        for name in ("cov_diff", "pca_diff", "one"):
            axes.axhline(planted.raw[name], color=LOOKS[name]["color"], linewidth=1.4, label=LOOKS[name]["label"])
        if "bound" in found[0]:
            axes.plot(x, [row["bound"] for row in found], color=INK, linewidth=1, label="bound (paper)")
            axes.plot(x, [row["sharper"] for row in found], color=INK, linewidth=1, linestyle=":", label="bound / √2")
        axes.set_ylim(0, 2.9)
    right.axvline(planted.margin, color=INK, linewidth=1, linestyle=":")
    right.text(planted.margin, 2.6, " margin", fontsize=9)
    left.set(xlabel="√r·ν/σ₀: error of the decoder rows", ylabel="recovery error E")
    right.set(xlabel="ε: mixing of the activations")
    _legend(figure, left)
    return figure


def draw_trained(records: Sequence[Mapping[str, Any]]) -> Any:
    """One panel per thing that is swept: mean over seeds, and from the least to the largest."""
    figure = new_figure(7.6)
    panels = figure.subplots(3, 2)
    for (name, values), axes in zip(SWEEPS.items(), panels.flat, strict=False):
        for key, look in LOOKS.items():
            errors = [[row["errors"][key] for row in swept(records, name, value)] for value in values]
            x = [value / BASE.d for value in values] if name == "concepts" else list(values)
            axes.plot(x, [np.mean(e) for e in errors], **{"linewidth": 1.4, "markersize": 4, **look})
            axes.fill_between(x, [min(e) for e in errors], [max(e) for e in errors], color=look["color"], alpha=0.15, linewidth=0)
        if name != "concepts":
            axes.set_xscale("log", base=10 if name == "noise" else 2)
        axes.set_yscale("log")
        axes.set_ylim(0.02, 4)
        axes.set_yticks([0.03, 0.1, 0.3, 1, 3], ["0.03", "0.1", "0.3", "1", "3"])
        axes.set_xticks(x, [f"{tick:g}" for tick in x], fontsize=8)
        axes.minorticks_off()
        axes.set_xlabel(AXES[name])
    for axes in panels[:, 0]:
        axes.set_ylabel("E")
    panels.flat[-1].set_axis_off()
    _legend(figure, panels.flat[0])
    return figure


def swept(records: Sequence[Mapping[str, Any]], name: str, value: Any) -> list[Mapping[str, Any]]:
    """The seeds of one point of one sweep: everything else as in the base case."""
    wanted = {name: value} | ({"n": 2 * value} if name == "concepts" else {})
    return [row for row in records if row["case"] == {**vars(BASE), **wanted, "seed": row["case"]["seed"]}]


def planted_lines(planted: Planted) -> list[str]:
    """What the first figure rests on."""
    raw = planted.raw
    return [f"Planted: d = {D}, N = 2d, r = {R}, σ₀ = {planted.sigma_0:.3f}, {DRAWS} draws a point; exact selection is promised "
            f"up to ε = {planted.margin:.2f}. Raw baselines there: one direction {raw['one']:.3f} (floor {raw_floor(R):.3f}), "
            f"`pca_diff` {raw['pca_diff']:.3f}, `cov_diff` {raw['cov_diff']:.3f}."]


def trained_table(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Mean over seeds, and in brackets least and largest."""
    seeds = len({row["case"]["seed"] for row in records})
    shown = ("sae", "sae_weighted", "sae_unweighted", "cov_diff", "pca_diff", "one")
    lines = [f"Trained, {seeds} {'seed' if seeds == 1 else 'seeds'} a row, E [least, largest]:", "",
             "| changed | FVU | MMCS | SAE, r | SAE, 2r × Δ | SAE, 2r | `cov_diff` | `pca_diff` | one direction |",
             "|---|---|---|---|---|---|---|---|---|", _row("nothing", swept(records, "n", BASE.n), shown)]
    for name, values in SWEEPS.items():
        others = [value for value in values if value != getattr(BASE, name)]
        lines += [_row(f"{name} {value}", swept(records, name, value), shown) for value in others]
    return lines


def _row(label: str, rows: Sequence[Mapping[str, Any]], shown: Sequence[str]) -> str:
    cells = [f"{np.mean([row['fvu'] for row in rows]):.3f}", f"{np.mean([row['mmcs'] for row in rows]):.3f}"]
    for key in shown:
        errors = [row["errors"][key] for row in rows]
        cells.append(f"{np.mean(errors):.2f} [{min(errors):.2f}, {max(errors):.2f}]")
    return f"| {label} | {' | '.join(cells)} |"


def _legend(figure: Any, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9)


if __name__ == "__main__":
    main()
