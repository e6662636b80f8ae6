"""Build the five known answers anew and write docs/known_answers.md's numbers and plots:  python tests/known/known_page.py

The text between the two marks in the page is replaced, all else in it is written by hand.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import known_rows as rows
import known_runs
from known_cases import Workshop
from known_runs import Known

from jaxtrunc.report import canvas, study
from jaxtrunc.report.canvas import style
from jaxtrunc.report.plots.curves import frame
from jaxtrunc.report.study import Results

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "known_answers.md"
MARKS = "<!-- numbers: written by tests/known/known_page.py -->", "<!-- end of numbers -->"
CURVES = (("top_k", False), ("bottom_k", False), ("random_k", False), ("interpolate", True))
TITLES = {"a": "shortcut in the tail", "b": "shortcut in the head", "c": "no order", "d": "bfloat16 tail", "e": "boundary case"}


def main() -> None:
    """Train, run, draw, and write the page."""
    with tempfile.TemporaryDirectory() as work:
        found = answers(Path(work))
    for letter, known in found.items():
        draw(known.results, DOCS / "images" / f"known_{letter}.png")
    before, rest = PAGE.read_text().split(MARKS[0])
    PAGE.write_text(before + "\n".join([MARKS[0], "", *table(found), "", MARKS[1]]) + rest.split(MARKS[1])[1])


def answers(folder: Path) -> dict[str, Known]:
    """All five, by letter."""
    workshop = Workshop(folder)
    task = rows.write_task(folder, "judged", rows.judged_rows(600, 1000, 3), ("validation", "test"))
    task_update = workshop.finetuned("task", rows.task_rows(6400, 1), 200)
    return {
        "a": known_runs.tail(workshop, task, task_update, folder / "a"),
        "b": known_runs.head(workshop, task, folder / "b"),
        "c": known_runs.flat(workshop, task, folder / "c"),
        "d": known_runs.rounded(workshop, folder / "d", "bfloat16"),
        "e": known_runs.boundary(folder / "e"),
    }


def draw(results: Results, file: Path) -> None:
    """Accuracy and gap over k of the main curves, FT dashed, k* dotted."""
    with style():
        figure = canvas.new_figure(3.2)
        for axes, key in zip(figure.subplots(1, 2), (study.accuracy_metric(results), "gap"), strict=True):
            _panel(axes, results, key)
        canvas.legend_below(figure, figure.axes[0])
        figure.savefig(file, facecolor="white", dpi=110, metadata={"Software": None})


def _panel(axes, results: Results, key: str) -> None:
    ranks = [0.0]
    for variant in study.variants(results):
        if variant.axis == "k" and (variant.operator, variant.norm_matched) in CURVES:
            points = study.curve(results, variant, study.metric(key))
            ranks += [point.x for point in points]
            axes.plot([p.x for p in points], [100 * p.estimate.value for p in points], **canvas.line_of(variant))
    frame(axes, results, "k", key, ranks)
    axes.set_xlabel("k")
    axes.set_ylabel({"gap": "gap (pp)"}.get(key, "accuracy (%)"))


def table(found: Mapping[str, Known]) -> list[str]:
    """Markdown: what the program said, and what was built."""
    lines = ["| | truth | verdict | k* | accuracy base → FT | gap FT | gap at k* | R(k*) from | decoupling of top_k |",
             "|---|---|---|---|---|---|---|---|---|"]
    lines += [_verdict_row(letter, known.results) for letter, known in found.items()]
    lines += ["", "| | accuracy and gap at FT | at W_base + head | ranks of head, tail | σ₁(tail)/σ_q(head) "
              "| ‖top_q(ΔW) − head‖/‖head‖ |", "|---|---|---|---|---|---|"]
    return lines + [_built_row(letter, known) for letter, known in found.items() if "top_error" in known.facts]


def _verdict_row(letter: str, results: Results) -> str:
    verdict, ends, record = results["verdict"], results["endpoints"], study.selected_record(results)
    accuracy = study.accuracy_metric(results)
    accuracies = " → ".join(f"{100 * ends[end]['metrics'][accuracy]:.1f} %" for end in ("base", "ft"))
    gap = f"{100 * record['metrics']['gap']:.1f}" if record else "–"
    return (f"| {letter} | {TITLES[letter]} | *{verdict['label']}* | {verdict['k']} | {accuracies} "
            f"| {_points(verdict['ft_gap'])} | {gap} | {_low(verdict['reduction'])} "
            f"| {_interval(verdict['decoupling'].get('top_k'))} |")


def _built_row(letter: str, known: Known) -> str:
    facts = known.facts
    scores = [f"{100 * s.accuracy:.1f} %, {100 * s.gap:.1f} pp" for s in (known.ft, known.head)]
    return (f"| {letter} | {scores[0]} | {scores[1]} | {facts['head_rank']}, {facts['tail_rank']} | {facts['least_ratio']:.4f} to "
            f"{facts['most_ratio']:.4f} | {facts['top_error']:.0e} |")


def _points(entry: Mapping[str, Any] | None) -> str:
    return "–" if entry is None else _interval({"value": 100 * entry["value"], "interval": [100 * x for x in entry["interval"]]}, 1)


def _interval(entry: Mapping[str, Any] | None, digits: int = 2) -> str:
    if entry is None or entry["interval"] is None:
        return "–"
    return f"{entry['value']:.{digits}f} [{entry['interval'][0]:.{digits}f}, {entry['interval'][1]:.{digits}f}]"


def _low(entry: Mapping[str, Any] | None) -> str:
    return "–" if entry is None or entry["interval"] is None else f"{entry['interval'][0]:.2f}"


if __name__ == "__main__":
    main()
