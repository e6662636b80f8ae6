"""docs/steer_results.md and its plots, from the collected cells alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from steering import plots, words
from steering.cells import ABLATIONS, BASELINE, FEWER_SEEDS, MEANS, METHODS, RANDOM, RATES, SEEDS, TASKS, TITLES, Cell
from steering.numbers import Difference, Found, Mean, against_baseline, difference, mean


@dataclass(frozen=True)
class Grid:
    """Everything that was run.

    Attributes:
      results: every cell's result.
      chosen: (task, method) → the cells of the test seeds at the chosen learning rate.
      facts: of the whole: minutes of CPU time, machine.
    """

    results: Mapping[Cell, Found]
    chosen: Mapping[tuple[str, str], Sequence[Cell]]
    facts: Mapping[str, Any]


def write(grid: Grid, page: Path) -> None:
    """The page, and images/steer_*.png beside it."""
    lines = [words.HEAD.format(minutes=grid.facts["cpu_minutes"]), *_verdicts(grid)]
    for task in TASKS:
        plots.pareto(task, _settings(grid, task), better(grid, task), page.parent / "images" / f"steer_{task}.png")
        lines += _section(grid, task)
    plots.fired({task: _fired(grid, task) for task in TASKS}, page.parent / "images" / "steer_fired.png")
    lines += _gates(grid) + _ablations(grid) + _times(grid)
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


def better(grid: Grid, task: str) -> Mapping[str, str]:
    """The task's metrics and which way each is better."""
    return grid.results[grid.chosen[task, BASELINE][0]]["better"]


def _verdicts(grid: Grid) -> list[str]:
    """How often each method is better, worse or undecided over all metrics of the four tasks."""
    lines = ["## In one table", "", "Metrics of all four tasks, three each, against the weighted sum with Muon:", "",
             "| method | better | worse | undecided |", "|---|---|---|---|"]
    found: dict[str, list[str]] = {method: [] for method in METHODS if method != BASELINE}
    for task in TASKS:
        for metric, way in better(grid, task).items():
            for method, one in against_baseline(grid.results, grid.chosen, task, metric, way).items():
                found[method].append(one.verdict)
    lines += [_row([TITLES[method], *(str(said.count(kind)) for kind in ("better", "worse", "undecided"))])
              for method, said in found.items()]
    lines += _beyond(grid)
    ends = {end: sum(cells[0].rate == end for cells in grid.chosen.values()) for end in (min(RATES), max(RATES))}
    return [*lines, "", f"Of the {len(grid.chosen)} chosen learning rates " + " and ".join(
        f"{count} are the {'smallest' if end == min(RATES) else 'largest'}" for end, count in ends.items()) +
        " that was tried: these\nmethods might do better beyond it."]


def _beyond(grid: Grid) -> list[str]:
    """Where a method is better in one of the two traded metrics and not worse in the other, and the other way round."""
    found: dict[str, list[str]] = {"better": [], "worse": []}
    for task in TASKS:
        traded = [against_baseline(grid.results, grid.chosen, task, *metric) for metric in list(better(grid, task).items())[:2]]
        for method in traded[0]:
            verdicts = {one[method].verdict for one in traded} - {"undecided"}
            if len(verdicts) == 1:
                found[verdicts.pop()].append(f"{TITLES[method]} ({task.replace('_', ' ')})")
    told = {kind: "; ".join(names) or "none" for kind, names in found.items()}
    return ["", f"Better in one of the two traded metrics and not worse in the other: {told['better']}.", "",
            f"Worse in one and not better in the other: {told['worse']}."]


def _section(grid: Grid, task: str) -> list[str]:
    names = better(grid, task)
    differences = {metric: against_baseline(grid.results, grid.chosen, task, metric, way) for metric, way in names.items()}
    head = ["method", "rate"] + [f"`{name}` ({'↑' if way == 'higher' else '↓'})" for name, way in names.items()]
    lines = ["", f"## {task.replace('_', ' ').capitalize()}", "", words.TASKS[task], "", _row(head), "|" + "---|" * len(head)]
    for method in METHODS:
        cells = grid.chosen[task, method]
        means = {name: mean([grid.results[cell]["test"][name] for cell in cells]) for name in names}
        values = [_value(means[name], differences[name].get(method)) for name in names]
        lines.append(_row([TITLES[method], f"{cells[0].rate:g}", *values]))
    base = [_number(float(np.mean([grid.results[cell]["base"][name] for cell in grid.chosen[task, BASELINE]]))) for name in names]
    lines.append(_row(["*base model*", "", *base]))
    said = words.PLOT + _weights_note(_settings(grid, task))
    return [*lines, "", f"![{task}: the two metrics over weights and learning rates](images/steer_{task}.png)", "", said]


def _value(found: Mean, to_baseline: Difference | None) -> str:
    """Mean, and under it the paired difference with its verdict."""
    if to_baseline is None:
        return _number(found.value)
    return f"{_number(found.value)}<br>{_told(to_baseline)}"


def _told(found: Difference) -> str:
    verdict = f"**{found.verdict}**" if found.verdict != "undecided" else found.verdict
    return f"{_signed(found.value)} [{_signed(found.low)}, {_signed(found.high)}] {verdict}"


def _settings(grid: Grid, task: str) -> dict[str, list[plots.Point]]:
    """Method → all settings that were run on several test seeds, the grid's own first."""
    found: dict[str, list[plots.Point]] = {}
    for method in METHODS:
        by_setting: dict[tuple[float, float], list[Cell]] = {}
        for cell in grid.results:
            if (cell.task, cell.method) == (task, method) and cell.seed in SEEDS:
                by_setting.setdefault((cell.rate, cell.weight), []).append(cell)
        own = grid.chosen[task, method][0]
        whole = {setting: cells for setting, cells in by_setting.items() if len(cells) >= len(FEWER_SEEDS)}
        order = sorted(whole, key=lambda setting: setting != (own.rate, own.weight))
        found[method] = [(whole[setting][0], [grid.results[cell] for cell in whole[setting]]) for setting in order]
    return found


def _weights_note(settings: Mapping[str, Sequence[plots.Point]]) -> str:
    """For which methods there was time to vary the weight, unless it was for all."""
    varied = [TITLES[method] for method, points in settings.items() if any(cell.weight != 1 for cell, _ in points)]
    if len(varied) == len(settings):
        return ""
    return f" The weight was varied for {', '.join(varied)} alone." if varied else " The weight was not varied here."


def _fired(grid: Grid, task: str) -> np.ndarray:
    """(layers, steps) of SIFT with its gate, mean over seeds."""
    return np.mean([grid.results[cell]["fired"] for cell in grid.chosen[task, "sift"]], axis=0)


def _gates(grid: Grid) -> list[str]:
    """What the optimiser itself measured."""
    lines = ["", words.GATES,
             "| task | method | fired | layers 0, 1 | cosine | STI before | after | rank used | `align_f` | `align_g` |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for task in TASKS:
        for method in ("sift", "sift_always"):
            cells = [grid.results[cell] for cell in grid.chosen[task, method]]
            layers = ", ".join(f"{share:.0%}" for share in np.mean([cell["fired"] for cell in cells], axis=(0, 2)))
            told = [_small(float(np.nanmean([np.nan if cell[key] is None else cell[key] for cell in cells]))) for key in MEANS]
            lines.append(_row([task.replace("_", " "), TITLES[method], f"{np.mean([cell['fired'] for cell in cells]):.0%}", layers,
                               *told]))
    return lines


def _ablations(grid: Grid) -> list[str]:
    """SIFT with one thing changed against SIFT itself, on the two metrics that are traded for each other."""
    found = [(name, *_ablation(grid, task, name, metric)) for task in TASKS for name in _changed(grid, task)
             for metric in list(better(grid, task))[:2]]
    if not found:
        return []
    said: dict[str, list[str]] = {}
    for name, _, verdict in found:
        said.setdefault("random gate" if name.startswith(RANDOM) else _changed_title(name), []).append(verdict)
    lines = ["", words.ABLATIONS, "| changed | better | worse | undecided |", "|---|---|---|---|"]
    lines += [_row([title, *(str(verdicts.count(kind)) for kind in ("better", "worse", "undecided"))])
              for title, verdicts in said.items()]
    return [*lines, "", "| task | changed | metric | SIFT | changed | difference |", "|---|---|---|---|---|---|",
            *(line for _, line, _ in found)]


def _changed(grid: Grid, task: str) -> list[str]:
    """Ablations that there was time for."""
    return [name for name in dict.fromkeys(cell.method for cell in grid.results if cell.task == task)
            if name in ABLATIONS or name.startswith(RANDOM)]


def _ablation(grid: Grid, task: str, name: str, metric: str) -> tuple[str, str]:
    """The line of the table, and the verdict."""
    changed = {cell.seed: found["test"][metric] for cell, found in grid.results.items() if (cell.task, cell.method) == (task, name)}
    whole = {cell.seed: grid.results[cell]["test"][metric] for cell in grid.chosen[task, "sift"]}
    found = difference([changed[seed] for seed in SEEDS], [whole[seed] for seed in SEEDS], better(grid, task)[metric])
    title = _changed_title(name)
    values = [_number(float(np.mean(list(one.values())))) for one in (whole, changed)]
    return _row([task.replace("_", " "), title, f"`{metric}`", *values, _told(found)]), found.verdict


def _changed_title(name: str) -> str:
    """`sift_rank_1` → rank 1, `sift_random_93` → random gate, 93 %."""
    kind, _, value = name.removeprefix("sift_").partition("_")
    return f"random gate, {value} %" if kind == "random" else f"{kind} {value}".strip()


def _times(grid: Grid) -> list[str]:
    """Time of a step as a multiple of Muon's."""
    lines = ["", words.TIMES,
             _row(["method", *(task.replace("_", " ") for task in TASKS)]), "|" + "---|" * (1 + len(TASKS))]
    return lines + [_row([TITLES[method], *(f"{_cost(grid, task, method):.2f}" for task in TASKS)]) for method in METHODS]


def _cost(grid: Grid, task: str, method: str) -> float:
    own, baseline = ([grid.results[cell]["cpu_seconds"] for cell in grid.chosen[task, one]] for one in (method, BASELINE))
    return float(np.median(np.divide(own, baseline)))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.3g}"


def _small(value: float) -> str:
    return f"{value:.1e}" if 0 < abs(value) < 1e-3 else _number(value)


def _signed(value: float) -> str:
    return f"{value:+.3f}" if abs(value) < 100 else f"{value:+.3g}"
