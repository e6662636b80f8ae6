"""Views of a results dict: operator variants, their curves over k (or α, τ, …), and the record at k*."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Any

Record = dict[str, Any]
Results = dict[str, Any]
Entry = dict[str, Any]  # {"value": number or None, "interval": [low, high] or None, ...}

ORDER = ("top_k", "interpolate", "bottom_k", "drop_top_k", "random_k", "lora", "flatten_k", "sparsify", "noise", "energy",
         "ratio", "mp_edge", "dg_hard")
PARAMETER_AXES = {"interpolate": "α", "energy": "τ", "ratio": "ρ", "sparsify": "share"}


@dataclass(frozen=True)
class Estimate:
    """One number with its interval, or without one (`low` is `high` is None)."""

    value: float
    low: float | None = None
    high: float | None = None


Reader = Callable[[Record], Estimate | None]


@dataclass(frozen=True)
class Variant:
    """One curve's identity: an operator as it was applied, and the axis along which its levels are ordered."""

    operator: str
    norm_matched: bool
    axis: str  # "k", "K" (global scope), "fraction", "α", "τ", "ρ", "share", or "" for an operator with a single level
    residual: str | None
    scope: str | None

    @property
    def label(self) -> str:
        """Name for people; only what differs from the defaults is said."""
        name = f"norm-matched {self.operator}" if self.norm_matched else self.operator
        extras = [f"{self.scope} scope"] if self.scope not in (None, "per_leaf") else []
        extras += ["residual base"] if self.residual == "base" else []
        return ", ".join([name, *extras])


@dataclass(frozen=True)
class Point:
    """One level of a curve. Over several seeds `estimate` is the mean, and its limits are the range."""

    x: float
    estimate: Estimate
    seeds: int


def variant_of(record: Record) -> Variant:
    """The curve a record belongs to."""
    operator = record["operator"]
    if record.get("k") is not None:
        axis = "K" if record.get("scope") == "global" else "k"
    else:
        axis = PARAMETER_AXES.get(operator, "fraction") if record.get("param") is not None else ""
    return Variant(operator, bool(record.get("norm_matched")), axis, record.get("residual"), record.get("scope"))


def position(record: Record) -> float:
    """Place of a record on its variant's axis (0 where the operator has one level only)."""
    value = record["k"] if record.get("k") is not None else record.get("param")
    return float(value) if value is not None else 0.0


def sweep_records(results: Results) -> list[Record]:
    """The records of the sweep, without the end points."""
    return [record for record in results.get("records") or [] if record["operator"] not in ("base", "ft")]


def variants(results: Results) -> list[Variant]:
    """Every variant in the results, in the order used everywhere: plain before norm-matched, k before other axes."""
    found = {variant_of(record) for record in sweep_records(results)}
    return sorted(found, key=lambda v: (v.norm_matched, v.label != v.operator, _place(v.operator), v.label, v.axis != "k", v.axis))


def levels(results: Results, variant: Variant) -> Iterator[tuple[float, list[Record]]]:
    """Per position on the axis, in increasing order, the records there (several where there are seeds)."""
    mine: dict[float, list[Record]] = {}
    for record in sweep_records(results):
        if variant_of(record) == variant:
            mine.setdefault(position(record), []).append(record)
    yield from sorted(mine.items())


def curve(results: Results, variant: Variant, read: Reader) -> list[Point]:
    """The points of one variant at which `read` finds a number."""
    points = []
    for x, records in levels(results, variant):
        estimate = pooled(records, read)
        if estimate is not None:
            points.append(Point(x, estimate, len(records)))
    return points


def pooled(records: list[Record], read: Reader) -> Estimate | None:
    """One record: its estimate. Several seeds: mean, with the range as limits. None if nothing is known."""
    found = [estimate for estimate in map(read, records) if estimate is not None]
    if not found:
        return None
    if len(records) == 1:
        return found[0]
    values = [estimate.value for estimate in found]
    return Estimate(fmean(values), min(values), max(values))


def metric(name: str) -> Reader:
    """Read `metrics[name]` with `intervals[name]`."""

    def read(record: Record) -> Estimate | None:
        low, high = (record.get("intervals") or {}).get(name) or (None, None)
        return _estimate((record.get("metrics") or {}).get(name), low, high)

    return read


def comparison(name: str) -> Reader:
    """Read `comparison[name]`: `{value, interval}` or null."""
    return lambda record: estimate_of((record.get("comparison") or {}).get(name))


def estimate_of(entry: Any) -> Estimate | None:
    """`{value, interval}` (or null) of results.json as an `Estimate`."""
    if not isinstance(entry, dict):
        return None
    low, high = entry.get("interval") or (None, None)
    return _estimate(entry.get("value"), low, high)


def accuracy_metric(results: Results) -> str:
    """What stands for accuracy: as the task says, else balanced accuracy, plain accuracy where that is absent."""
    task = (results.get("config") or {}).get("task")
    if isinstance(task, dict) and task.get("accuracy") == "training":
        return "accuracy_training_weighted"
    known = (metric("balanced_accuracy")(record) for record in _all_records(results))
    return "balanced_accuracy" if any(known) else "accuracy"


def endpoint(results: Results, name: str) -> Record | None:
    """The record of `base` or `ft`."""
    return (results.get("endpoints") or {}).get(name)


def at_endpoint(results: Results, name: str, key: str) -> Estimate | None:
    """A metric of `base` or `ft`."""
    record = endpoint(results, name)
    return metric(key)(record) if record else None


def selected_k(results: Results) -> int | None:
    """k* of the selection; None where nothing was selected."""
    return (results.get("selection") or {}).get("k")


def selected_record(results: Results) -> Record | None:
    """The plain `top_k` record at k*; an end point where k* is 0 or full and no record stands there."""
    k = selected_k(results)
    if k is None:
        return None
    for variant in variants(results):
        if variant.operator == "top_k" and variant.axis == "k" and not variant.norm_matched:
            at_k = dict(levels(results, variant)).get(float(k))
            if at_k:
                return at_k[0]
    return endpoint(results, "base" if k == 0 else "ft")


def selected_entry(results: Results, name: str) -> Entry | None:
    """An entry of `comparison` at k*; at k* = 0, where fine-tuning gained nothing measurable, no reduction is claimed."""
    if selected_k(results) == 0 and name.startswith("reduction"):
        return None
    return ((selected_record(results) or {}).get("comparison") or {}).get(name)


def _estimate(value: float | None, low: float | None, high: float | None) -> Estimate | None:
    return None if value is None else Estimate(value, low, high)


def _place(operator: str) -> int:
    return ORDER.index(operator) if operator in ORDER else len(ORDER)


def _all_records(results: Results) -> list[Record]:
    return sweep_records(results) + [record for record in (results.get("endpoints") or {}).values() if record]
