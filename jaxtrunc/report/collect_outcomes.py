"""How each of the paper's claims stands in one run: confirmed, nominal, not shown or refuted, with the number.

A claim about a number is *confirmed* if its 95 % interval lies wholly on the claimed side, *nominal* if only the value does,
*refuted* if the interval lies wholly on the other side, *not shown* if the value lies there and the interval reaches over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from jaxtrunc.report import study, wording
from jaxtrunc.report.collect_facts import DEFINITIONS, Run
from jaxtrunc.report.study import Entry

STATES = ("refuted", "not shown", "nominal", "confirmed")  # the worst first
FIVE = 4.5  # "up to about 5x": what rounds to 5
ALIKE = 0.1  # of all energy; ours, for the paper gives no measure
BROAD = 0.1  # of all components, needed for 90 % of the energy; ours too
TOLERANCE_PP = 2.0
GAP_TO_REFUTE = 0.05  # of FT, as in the verdict: from there on a gap that is not smaller at k* refutes
COLLAPSE_WITHIN = 0.10


@dataclass(frozen=True)
class Outcome:
    """One of `STATES`, the number in words, how far it lies on the claimed side, and in which run (or pair of runs)."""

    state: str
    said: str
    margin: float
    entry: Entry
    where: str

    @property
    def severity(self) -> tuple[int, float]:
        """Least for the outcome that speaks most against the claim."""
        return STATES.index(self.state), self.margin


def shortcut(run: Run) -> Outcome | None:
    """The gap of FT, in either direction; a size is never below 0, so nothing can refute it."""
    gap = run.at("ft", "gap")
    if gap is None:
        return None
    low, high = (gap.low, gap.high) if gap.value > 0 else (_minus(gap.high), _minus(gap.low))
    entry = {"value": abs(gap.value), "interval": None if low is None else [low, high]}
    state = "confirmed" if low is not None and low > 0 else "not shown"
    return Outcome(state, f"gap of FT {wording.rate(gap, signed=True)} pp", abs(gap.value), entry, run.name)


def reduction(run: Run) -> Outcome | None:
    """R(k*); where the gap at k* may be 0 it has only a lower limit, and the two values say on which side of 1 it is."""
    entry, value, ft = run.compared("reduction"), _ratio(run), run.at("ft", "gap")
    if entry is None or value is None or ft is None:
        return None
    state = above(value, entry.get("interval"), 1.0)
    state = "refuted" if state == "not shown" and abs(ft.value) >= GAP_TO_REFUTE else state
    return Outcome(state, f"R = {wording.factor(entry)}", value - 1, entry, run.name)


def loss(run: Run) -> Outcome | None:
    """L(k*), judged by its one-sided 95 % bound."""
    entry = run.compared("loss_pp") if run.is_tested else None
    estimate = study.estimate_of(entry)
    if entry is None or estimate is None:
        return None
    over = "refuted" if estimate.low is not None and estimate.low >= TOLERANCE_PP else "not shown"
    state = entry["claim"] if entry.get("claim") in STATES else over
    return Outcome(state, f"L = {wording.points(estimate)} pp", -estimate.value, entry, run.name)


def decoupling(run: Run) -> Outcome | None:
    """Decoupling of top_k above 0."""
    return _positive(run, run.versus("decoupling").get("top_k"), "decoupling")


def control(run: Run, names: Sequence[str]) -> Outcome | None:
    """The weakest advantage over the curves of a control, plain and norm-matched."""
    found = [_positive(run, entry, f"advantage over {curve}", points=True) for curve, entry in run.versus("advantage").items()
             if curve.removeprefix("norm-matched ") in names]
    return min(filter(None, found), key=lambda outcome: outcome.severity, default=None)


def broad(run: Run) -> Outcome | None:
    """The median over matrices of the share of components that hold 90 % of the energy."""
    known = [k / spectrum["rank"] for spectrum in (run.results.get("spectra") or {}).values()
             if spectrum.get("rank") and (k := (spectrum.get("energy_k") or {}).get("0.9"))]
    if not known:
        return None
    middle = median(known)
    state = "confirmed" if middle > BROAD else "refuted"
    return Outcome(state, f"median {middle:.0%}", middle - BROAD, {"value": middle, "interval": None}, run.name)


def alike(pair: dict[str, Any]) -> Outcome:
    """The distance of the normalised spectra of two runs, `{"a", "b", "value"}`."""
    state = "confirmed" if pair["value"] <= ALIKE else "refuted"
    entry = {"value": pair["value"], "interval": None}
    return Outcome(state, f"distance {pair['value']:.3f}", ALIKE - pair["value"], entry, f"{pair['a']} and {pair['b']}")


def collapse(run: Run) -> Outcome | None:
    """The verdict of a boundary run, and the decoupling it rests on."""
    entry = run.versus("decoupling").get("top_k")
    if not run.is_tested or entry is None or entry.get("value") is None:
        return None
    state = "confirmed" if run.label == "collapse to base" else _within(entry, COLLAPSE_WITHIN)
    said = f"decoupling {wording.plain(study.estimate_of(entry))}, verdict “{run.label}”"
    return Outcome(state, said, COLLAPSE_WITHIN - abs(entry["value"]), entry, run.name)


def five_times(run: Run) -> Outcome | None:
    """R(k*), judged under the primary definition of the gap; the factors under the others stand beside it."""
    factors = {name: run.factor(name) for name in DEFINITIONS}
    primary, value = factors["gap"], _ratio(run)
    if primary is None or value is None:
        return None
    said = ", ".join(f"{name} {wording.factor(factors[name])}" for name in DEFINITIONS)
    return Outcome(above(value, primary.get("interval"), FIVE), said, value, primary | {"factors": factors}, run.name)


def above(value: float, interval: Sequence[float | None] | None, limit: float) -> str:
    """How the claim stands that a number is above `limit`."""
    low, high = interval or (None, None)
    if low is not None and low > limit:
        return "confirmed"
    if high is not None and high <= limit:
        return "refuted"
    return "nominal" if value > limit else "not shown"


def _ratio(run: Run) -> float | None:
    """R(k*) of a run that tests it; where the gap at k* may be 0, and R has no value, the ratio of the two values."""
    entry, ft, selected = run.compared("reduction"), run.at("ft", "gap"), run.at("selected", "gap")
    if not run.is_tested or entry is None or ft is None or selected is None:
        return None
    return abs(ft.value) / max(abs(selected.value), 1e-12) if entry.get("value") is None else entry["value"]


def _within(entry: dict[str, Any], radius: float) -> str:
    """How the claim stands that a number lies within ± `radius`, short of confirmation."""
    low, high = entry.get("interval") or (None, None)
    if abs(entry["value"]) <= radius:
        return "nominal"
    apart = (low is not None and low > radius) or (high is not None and high < -radius)
    return "refuted" if apart else "not shown"


def _positive(run: Run, entry: Entry | None, name: str, *, points: bool = False) -> Outcome | None:
    """A claim that a number is above 0, in a run that tests it."""
    estimate = study.estimate_of(entry)
    if not run.is_tested or entry is None or estimate is None:
        return None
    shown = f"{wording.rate(estimate, signed=True)} pp" if points else wording.plain(estimate)
    return Outcome(above(estimate.value, entry.get("interval"), 0.0), f"{name} {shown}", estimate.value, entry, run.name)


def _minus(limit: float | None) -> float | None:
    return None if limit is None else -limit
