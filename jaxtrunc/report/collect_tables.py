"""Tables across runs: end points and k*, every definition of the gap, every control, training seeds."""

from collections.abc import Sequence
from typing import Any

from jaxtrunc.report import study, wording
from jaxtrunc.report.collect_facts import DEFINITIONS, ENDS, Run
from jaxtrunc.report.tables import Table

SUMMED_UP = (("gap_ft", "gap of FT (pp)", 100, True), ("gap_selected", "gap at k* (pp)", 100, True), ("reduction", "R", 1, False),
             ("loss_pp", "L (pp)", 1, True), ("decoupling", "decoupling", 1, True))


def overview(runs: Sequence[Run]) -> Table:
    """A row per run: accuracy and gap at base, FT and k*, reduction, loss, verdict."""
    columns = ("run", "verdict", "k*", "accuracy: base", "FT", "k* (%)", "gap: base", "FT", "k* (pp)", "R", "L (pp)", "under 2 pp")
    return Table(columns, [_overview(run) for run in runs])


def factors(runs: Sequence[Run]) -> Table:
    """By what the gap shrank from FT to k*, under each definition."""
    rows = [(run.name, *(wording.factor(run.factor(name)) for name in DEFINITIONS)) for run in runs]
    return Table(("run", *DEFINITIONS), rows)


def controls(runs: Sequence[Run]) -> Table:
    """Per run and control: how much larger its gap is than that of top_k at k*, at matched accuracy, in points."""
    names = list(dict.fromkeys(name for run in runs for name in run.versus("advantage")))
    rows = [(run.name, *(wording.rate(study.estimate_of(run.versus("advantage").get(name)), signed=True) for name in names))
            for run in runs]
    return Table(("run", *names), rows)


def seeds(groups: Sequence[dict[str, Any]]) -> Table:
    """Per base model and task: every quantity over the training seeds as mean (lowest to highest), and the verdicts."""
    columns = ("base", "task", "seeds", *(title for _, title, _, _ in SUMMED_UP), "verdicts")
    rows = [(group["base"], group["task"], str(len(group["seeds"])),
             *(_over_seeds(group["quantities"].get(key), by, signed) for key, _, by, signed in SUMMED_UP),
             ", ".join(f"{label} {count}×" for label, count in group["verdicts"].items())) for group in groups]
    return Table(columns, rows)


def rates(runs: Sequence[Run]) -> Table:
    """The learning rate of the trained control, where there is one, and where it comes from."""
    known = [run for run in runs if _rate(run) is not None]
    return Table(("run", "learning rate", "where from"), [(run.name, f"{_rate(run):g}", _origin(run, known)) for run in known])


def _overview(run: Run) -> tuple[str, ...]:
    accuracy = (wording.rate(run.accuracy(end)) for end in ENDS)
    gap = (wording.rate(run.at(end, "gap"), signed=True) for end in ENDS)
    k, loss, reduction = study.selected_k(run.results), run.compared("loss_pp"), run.compared("reduction")
    return (run.name, run.label or "none", wording.NONE if k is None else str(k), *accuracy, *gap, wording.factor(reduction),
            wording.points(study.estimate_of(loss)), (loss or {}).get("claim", wording.NONE))


def _rate(run: Run) -> float | None:
    return (run.results.get("lora") or {}).get("learning_rate")


def _searched(run: Run) -> list[dict[str, Any]]:
    return run.results["lora"].get("searched") or []


def _origin(run: Run, runs: Sequence[Run]) -> str:
    """Chosen by this run, chosen by another training seed of the same base model and task, or given."""
    if _searched(run):
        tried = ", ".join(f"{entry['learning_rate']:g}" for entry in _searched(run))
        return f"chosen at rank {run.results['lora'].get('rank')} among {tried}"
    choosers = [other.name for other in runs if other.group == run.group and _searched(other) and _rate(other) == _rate(run)]
    return f"chosen by {choosers[0]}" if choosers else "given"


def _over_seeds(summary: dict[str, Any] | None, by: float, signed: bool) -> str:
    """`3.1 (2.0 to 4.2)`; one value alone without its range, and a dash where a seed has no value."""
    mean, ends = (summary or {}).get("mean"), (summary or {}).get("range")
    if mean is None or ends is None:
        return wording.NONE
    middle, low, high = (wording.number(by * value, 1 if by == 100 else 2, signed=signed) for value in (mean, *ends))
    return middle if low == high else f"{middle} ({low} to {high})"
