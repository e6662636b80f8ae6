"""Many runs side by side: what is taken from the results of each, as plain facts that tables, plots and claims share."""

from dataclasses import dataclass
from typing import Any

from jaxtrunc.report import study
from jaxtrunc.report.study import Entry, Estimate, Results

DEFINITIONS = ("gap", "gap_pooled", "gap_worst", "gap_range", "fpr_gap")
REDUCTIONS = {"gap": "reduction", "gap_pooled": "reduction_pooled", "gap_worst": "reduction_worst",
              "gap_range": "reduction_range", "fpr_gap": "reduction_fpr"}
ENDS = ("base", "ft", "selected")


@dataclass(frozen=True)
class Run:
    """One run among many: where it belongs, and its results.json."""

    name: str
    base: str
    task: str
    seed: int | None
    path: str
    results: Results

    @property
    def group(self) -> tuple[str, str]:
        """What the training seeds of one base model and task have in common."""
        return self.base, self.task

    @property
    def is_boundary(self) -> bool:
        """Whether its task has nothing but a marker to learn."""
        task = (self.results.get("config") or {}).get("task")
        return bool(isinstance(task, dict) and task.get("boundary"))

    @property
    def verdict(self) -> dict[str, Any]:
        """The verdict, or an empty one."""
        return self.results.get("verdict") or {}

    @property
    def label(self) -> str | None:
        """The label of the verdict."""
        return self.verdict.get("label")

    @property
    def is_tested(self) -> bool:
        """Whether a shortcut and a gain were there to be tested, and a k* above 0 to test at."""
        return self.label not in (None, "not tested")

    def at(self, end: str, key: str) -> Estimate | None:
        """A metric at `base`, `ft` or `selected` (k*)."""
        record = study.selected_record(self.results) if end == "selected" else study.endpoint(self.results, end)
        return study.metric(key)(record) if record else None

    def accuracy(self, end: str) -> Estimate | None:
        """The accuracy that loss and k* are measured in."""
        return self.at(end, study.accuracy_metric(self.results))

    def compared(self, name: str) -> Entry | None:
        """An entry of the comparison of k* with FT, such as `reduction` or `loss_pp`; the verdict's where k* has no record."""
        found = study.selected_entry(self.results, name)
        return found if found is not None else self.verdict.get(name)

    def factor(self, definition: str) -> Entry | None:
        """By what the gap shrank from FT to k* under one definition."""
        return self.compared(REDUCTIONS[definition])

    def versus(self, part: str) -> dict[str, Entry | None]:
        """`advantage`, `specificity` or `decoupling` of the verdict, by curve."""
        return self.verdict.get(part) or {}


def facts(run: Run) -> dict[str, Any]:
    """What collect.json says of a run. Rates and gaps are fractions, `loss_pp` is in points."""
    return {
        "name": run.name, "base": run.base, "task": run.task, "seed": run.seed, "path": run.path,
        "boundary": run.is_boundary, "verdict": run.label, "reasons": list(run.verdict.get("reasons") or []),
        "k": study.selected_k(run.results), "accuracy_metric": study.accuracy_metric(run.results),
        "accuracy": {end: entry_of(run.accuracy(end)) for end in ENDS},
        "gap": {end: entry_of(run.at(end, "gap")) for end in ENDS},
        "loss_pp": run.compared("loss_pp"), "reduction": run.compared("reduction"),
        "factors": {name: run.factor(name) for name in DEFINITIONS},
        "decoupling": run.versus("decoupling"), "specificity": run.versus("specificity"), "advantage": run.versus("advantage"),
        "lora": run.results.get("lora"),
    }


def flat(run: Run) -> dict[str, Any]:
    """The same as one row of collect.csv: a column per number, and `_low` and `_high` for its interval."""
    known = facts(run)
    row = {key: known[key] for key in ("name", "base", "task", "seed", "boundary", "verdict", "k", "accuracy_metric")}
    for end in ENDS:
        row |= _columns(f"accuracy_{end}", known["accuracy"][end]) | _columns(f"gap_{end}", known["gap"][end])
    row |= _columns("reduction", known["reduction"]) | _columns("loss_pp", known["loss_pp"])
    row |= {"loss_pp_upper95": (known["loss_pp"] or {}).get("upper95"), "loss_pp_claim": (known["loss_pp"] or {}).get("claim")}
    for name in DEFINITIONS[1:]:
        row[f"factor_{name}"] = (known["factors"][name] or {}).get("value")
    for part in ("decoupling", "specificity", "advantage"):
        for curve, entry in known[part].items():
            row |= _columns(f"{part}_{curve.replace(' ', '_')}", entry)
    return row | {"path": known["path"]}


def entry_of(estimate: Estimate | None) -> Entry | None:
    """An estimate as files hold it."""
    if estimate is None:
        return None
    known = estimate.low is not None or estimate.high is not None
    return {"value": estimate.value, "interval": [estimate.low, estimate.high] if known else None}


def _columns(name: str, entry: Entry | None) -> dict[str, float | None]:
    low, high = (entry or {}).get("interval") or (None, None)
    return {name: (entry or {}).get("value"), f"{name}_low": low, f"{name}_high": high}
