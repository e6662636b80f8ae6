"""The loop over levels: what is recorded already is left alone, every new record is on disk before the next begins."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.processes import is_main
from jaxtrunc.core.progress import Advance
from jaxtrunc.core.trees import Params
from jaxtrunc.evals.evalset import EvalSet
from jaxtrunc.evals.records import Worst, decode_predictions, is_record, make_record, record_key, worst_groups
from jaxtrunc.evals.samples import write_samples
from jaxtrunc.evals.scoring import Scorer
from jaxtrunc.evals.statistics import Statistics
from jaxtrunc.evals.truth import VALIDATION

RECORDS = "records.jsonl"


@dataclass(frozen=True)
class Applied:
    """The weights of one level, ready on the device.

    Attributes:
      facts: `roundoff`, `max_norm_factor` and whatever else belongs in the record.
      skipped: why the level cannot be evaluated; then `params` is not read.
    """

    params: Params
    facts: Mapping[str, Any] = field(default_factory=dict)
    skipped: str | None = None


Level = tuple[Mapping[str, Any], Callable[[], Applied]]


@dataclass(frozen=True)
class Outcome:
    """All records of this dtype, old and new, and what was skipped."""

    records: list[dict[str, Any]]
    warnings: list[str]


class Sweep:
    """Evaluates levels on one or two splits into RUN/records.jsonl; all processes do, process 0 writes.

    Args:
      eval_sets: validation first where there is one: the group that is worst there is the one whose interval is given.
      dtype: operand dtype of the evaluation, part of a record's key.
      log_samples: also write RUN/samples.
    """

    def __init__(self, run: Path, scorer: Scorer, eval_sets: Sequence[EvalSet], *, dtype: str, log_samples: bool):
        self._run, self._scorer, self._eval_sets = run, scorer, eval_sets
        self._dtype, self._log_samples = dtype, log_samples
        self._full = {e.split: Statistics(e.truth) for e in eval_sets}
        self._shown = {e.split: Statistics(_shown(e)) for e in eval_sets}
        self._known = {record_key(record): record for record in open_records(run / RECORDS)}

    def run(self, levels: Iterable[Level], advance: Advance) -> Outcome:
        """Evaluate what is missing, one step of `advance` a level; `ft` and `base` come first, in this order.

        The callable of a level is called only if one of its records is missing.
        """
        warnings = []
        for level, apply in levels:
            skipped = self._level(level, apply)
            if skipped:
                warnings.append(f"{describe_level(level)} was skipped: {skipped}")
            advance(1, describe_level(level))
        return Outcome([record for record in self._known.values() if record["dtype"] == self._dtype], warnings)

    def _level(self, level: Mapping[str, Any], apply: Callable[[], Applied]) -> str | None:
        missing = [e for e in self._eval_sets if self._key(level, e.split) not in self._known]
        if not missing:
            return None
        applied = apply()
        if applied.skipped:
            return applied.skipped
        for eval_set in missing:
            self._evaluate(level, applied, eval_set)
        return None

    def _evaluate(self, level: Mapping[str, Any], applied: Applied, eval_set: EvalSet) -> None:
        scores = self._scorer.score(applied.params, eval_set)
        facts = dict(applied.facts)
        if self._log_samples and is_main():
            identity = {**level, "split": eval_set.split, "dtype": self._dtype}
            facts |= write_samples(self._run, identity, eval_set, scores)
        statistics = self._shown[eval_set.split]
        ends = {name: self._end(name, level, scores.predictions, eval_set.split) for name in ("ft", "base")}
        record = make_record(level, statistics, scores.scores, scores.mass, dtype=self._dtype, **ends,
                             worst=self._worst(level), extras=facts)
        if is_main():
            jsonio.append_line(self._run / RECORDS, record)
        self._known[record_key(record)] = record

    def _end(self, name: str, level: Mapping[str, Any], mine: np.ndarray, split: str) -> np.ndarray | None:
        """Predictions of an endpoint on this split: the level's own if it is that endpoint, None if not known yet."""
        if level["operator"] == name:
            return mine
        wanted = (name, split, self._dtype)
        found = (r["predictions"] for r in self._known.values() if (r["operator"], r["split"], r["dtype"]) == wanted)
        return next(map(decode_predictions, found), None)

    def _worst(self, level: Mapping[str, Any]) -> Worst | None:
        record = self._known.get(self._key(level, VALIDATION))
        statistics = self._full.get(VALIDATION)
        if record is None or statistics is None:
            return None
        return worst_groups(statistics, decode_predictions(record["predictions"]))

    def _key(self, level: Mapping[str, Any], split: str) -> tuple:
        return record_key({**level, "split": split, "dtype": self._dtype})


def open_records(path: Path) -> list[dict[str, Any]]:
    """The records of a file; a last line that was torn when the run was killed is removed from it."""
    records = jsonio.read_lines(path)
    for number, record in enumerate(records, 1):
        if not is_record(record):
            raise InputError(f"{path}: record {number} is no record of a sweep; take the line out to have it made anew")
    if is_main() and path.exists() and not path.read_bytes().endswith(b"\n"):
        jsonio.rewrite_lines(path, records)
    return records


def describe_level(level: Mapping[str, Any]) -> str:
    """`random_k k=8 seed=0`, for progress and warnings."""
    parts = [f"{name}={level[name]}" for name in ("k", "param", "seed") if level.get(name) is not None]
    parts += ["norm-matched"] if level.get("norm_matched") else []
    return " ".join([str(level["operator"]), *parts])


def _shown(eval_set: EvalSet):
    """What records of a split may tell: nothing about groups on validation."""
    return eval_set.truth.without_groups() if eval_set.split == VALIDATION else eval_set.truth
