"""Results as Markdown: the table of targets, and a section per script."""

import math
import statistics
from typing import Any

from suite import machine
from suite.targets import TARGETS


def targets_table(results: dict[str, Any]) -> list[str]:
    """Every line of the project's table of targets with what was measured."""
    lines = ["| target | must | aim | measured | met |", "|---|---|---|---|---|"]
    for target in TARGETS:
        sign = "≥" if target.at_least else "≤"
        value = results.get(target.script, {}).get("measured", {}).get(target.name)
        met = "not measured" if value is None else {"aim": "aim", "must": "must", "no": "**no**"}[target.met(value)]
        lines.append(f"| {target.words} | {sign} {number(target.must)} | {sign} {number(target.aim)} | "
                     f"{'–' if value is None else number(value)} | {met} |")
    return lines


def obstacles(results: dict[str, Any]) -> list[str]:
    """For every target that was measured and whose aim is not met, what stands in the way."""
    found = []
    for target in TARGETS:
        value = results.get(target.script, {}).get("measured", {}).get(target.name)
        if value is not None and target.met(value) != "aim":
            found.append(f"- *{target.words}*: {target.obstacle}")
    return ["", "What stands in the way of the aims that are not met:", "", *found] if found else []


def section(result: dict[str, Any]) -> list[str]:
    """The lines of one script: its question, its tables and curves, what is to be said of them, and where it ran."""
    lines = [result["question"]]
    for comparison in result["comparisons"]:
        lines += ["", f"**{comparison['title']}**", "", *table(comparison)]
    for other in result["tables"]:
        lines += ["", f"**{other['title']}**", "", row_of(other["head"]), "|" + "---|" * len(other["head"]),
                  *map(row_of, other["cells"])]
    if result["curves"]:
        lines += ["", *curve_table(result["curves"])]
    if result["notes"]:
        lines += ["", *(f"- {note}" for note in result["notes"])]
    run = f"{result['seconds']:.0f} s, load before {result['load_before']:.1f}"
    return [*lines, "", f"{machine.in_words(result['machine'])}; {run}."]


def table(comparison: dict[str, Any]) -> list[str]:
    """One line per way; columns of facts that no way has are not there."""
    rows, work = comparison["rows"], comparison["work"]
    facts = list(dict.fromkeys(key for row in rows for key in row["facts"]))
    rates = [f"{comparison['unit']} per CPU s"] if work else []
    head = ["", "CPU s", "by the clock, s", "first call, s", "× ours", *rates, *facts]
    lines = [row_of(head), "|" + "---|" * len(head)]
    for row in rows:
        if row["missing"]:
            cells = [row["name"], f"skipped: {row['missing']}", *[""] * (len(head) - 2)]
        else:
            rate = [number(work / statistics.median(row["cpu"]))] if work else []
            cells = [row["name"], spread(row["cpu"]), number(statistics.median(row["wall"])), number(row["first"]),
                     times(row["cpu"], rows[0]["cpu"]), *rate, *(number(row["facts"].get(key)) for key in facts)]
        lines.append(row_of(cells))
    return lines


def row_of(cells: list[str]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def times(theirs: list[float], ours: list[float]) -> str:
    """Ratio round by round."""
    ratios = [a / b for a, b in zip(theirs, ours, strict=False) if b]
    return f"{statistics.median(ratios):.2f}" if ratios else ""


def spread(values: list[float]) -> str:
    """Median and quartiles."""
    if len(values) < 2:
        return number(values[0]) if values else ""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{number(statistics.median(values))} [{number(low)}, {number(high)}]"


def curve_table(curves: list[dict[str, Any]]) -> list[str]:
    """Sizes, seconds and the two exponents of every curve."""
    lines = ["| CPU seconds of | against | from | to | exponent fitted | expected |", "|---|---|---|---|---|---|"]
    for curve in curves:
        ends = (f"{number(size)}: {number(seconds)} s" for size, seconds in
                ((curve["sizes"][at], curve["seconds"][at]) for at in (0, -1)))
        lines.append(f"| {curve['name']} | {curve['axis']} | {' | '.join(ends)} | {exponent(curve):.2f} | {curve['expected']:g} |")
    return lines


def exponent(curve: dict[str, Any]) -> float:
    """Slope of log seconds against log size by least squares."""
    x, y = ([math.log(value) for value in curve[key]] for key in ("sizes", "seconds"))
    return statistics.linear_regression(x, y).slope


def number(value: Any) -> str:
    """Three digits; small and large numbers as powers of ten; text as it is."""
    if value is None or isinstance(value, str):
        return value or ""
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

