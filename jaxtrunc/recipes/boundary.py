"""The boundary case in a sweep: the reported rows without their markers as a set of their own, and what the sets say."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxtrunc.data import Example, unmarked
from jaxtrunc.evals import EvalSet, Statistics, build_eval_set, decode_predictions, record_key
from jaxtrunc.evals.boundary import BoundaryCase, Sets, boundary_evidence
from jaxtrunc.evals.curves import Curves, curve_name
from jaxtrunc.recipes.bench import Bench

if TYPE_CHECKING:
    from jaxtrunc.recipes.results import Study

Record = Mapping[str, Any]


def marker_free(split: str) -> str:
    """Under which split the records of the rows without markers stand in records.jsonl."""
    return f"{split}_marker_free"


def extra_sets(bench: Bench, split: str, batch_size: int, devices: int) -> list[EvalSet]:
    """What the boundary case evaluates beside the reported split: the same rows without markers; nothing for other tasks."""
    if bench.task.boundary is None:
        return []
    plain = [_without_marker(bench, example) for example in bench.data.examples[split]]
    data = dataclasses.replace(bench.data, examples={split: plain})
    rows = build_eval_set(data, split, bench.prompter, batch_size, devices)
    truth = dataclasses.replace(rows.truth.without_groups(), split=marker_free(split))
    return [dataclasses.replace(rows, truth=truth)]


def level_sets(study: "Study", records: Iterable[Record]) -> dict[tuple, Sets]:
    """Record key of each level of the reported split → accuracy per set; empty outside the boundary case."""
    case, split = boundary_case(study), study.settings.split
    if case is None:
        return {}
    records = list(records)
    plain = {record_key(record): record for record in records if record["split"] == marker_free(split)}
    pairs = [(record, plain.get(record_key({**record, "split": marker_free(split)})))
             for record in records if record["split"] == split]
    return {record_key(record): case.sets(_predictions(record), _predictions(twin)) for record, twin in pairs if twin}


def boundary_verdict(study: "Study", records: Sequence[Record], sets: Mapping[tuple, Sets],
                     k: int | None) -> dict[str, Any] | None:
    """The `boundary` of the verdict, from the records of one residual policy; None outside the boundary case."""
    case, split = boundary_case(study), study.settings.split
    if case is None:
        return None
    shown = [record for record in records if record["split"] == split]
    ends = {record["operator"]: record for record in shown if record["operator"] in ("base", "ft")}
    chosen = next((record for record in shown if curve_name(record) == "top_k" and record["k"] == k), None)
    named = {**ends, "k*": chosen or (ends["base" if k == 0 else "ft"] if k is not None else None)}
    found = {name: sets.get(record_key(record)) if record else None for name, record in named.items()}
    base = next(r for r in records if (r["split"], r["operator"]) == (marker_free(split), "base"))
    solves = {"value": base["metrics"]["balanced_accuracy"], "interval": base["intervals"]["balanced_accuracy"]}
    gain = Curves(Statistics(case.truth), list(ends.values())).gain()
    return boundary_evidence(case, solves, gain, found)


def boundary_case(study: "Study") -> BoundaryCase | None:
    """The boundary case of a study's task, or None."""
    task, split = study.bench.task, study.settings.split
    if task.boundary is None or task.inject is None:
        return None
    labels = [example.label if example.true_label is None else example.true_label
              for example in study.bench.data.examples[split]]
    return BoundaryCase(task.boundary, task.inject.correlation["train"], study.eval_sets[split].truth, np.array(labels, int))


def _without_marker(bench: Bench, example: Example) -> Example:
    rule = bench.task.inject
    assert rule is not None, "a boundary case has a rule `inject`"
    names = [name for name, column in bench.task.text.items() if column == rule.field]
    return dataclasses.replace(example, fields=example.fields | {name: unmarked(rule, example.fields[name]) for name in names})


def _predictions(record: Record) -> np.ndarray:
    return decode_predictions(record["predictions"])
