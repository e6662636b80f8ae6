"""Plain-language findings from the numbers of a study, and with the same weight what was not shown."""

from dataclasses import dataclass
from typing import Any

from jaxtrunc.report import study, wording
from jaxtrunc.report.study import Results

PAPER = "Sun and Troitskii (arXiv 2606.07596)"

HEADLINES = {
    "supported": ("good", "Supported here: keeping the leading components of the update shrank the gap at small loss, and no "
                          "control that was run did as well at matched accuracy."),
    "not specific to the spectrum": ("mixed", "The gap shrank, but this is not specific to the spectrum: scaling the whole update "
                                              "down is not shown to do worse."),
    "refuted": ("bad", "Refuted here: keeping the leading components of the update did not reduce the gap ahead of accuracy."),
    "collapse to base": ("bad", "Collapse to base: truncation only slides the model back from fine-tuned to base; accuracy and "
                                "gap fall together."),
    "not tested": ("open", "Not tested: this run gives truncation nothing to show, neither for nor against."),
    "inconclusive": ("open", "Inconclusive: the numbers of this run decide nothing about truncation, neither for nor against."),
}
NO_VERDICT = ("open", "No verdict: the results do not hold what a verdict needs.")

CONTROLS = {
    "interpolate": "interpolation (W_base + αΔW), the control that tells the spectrum from mere scaling",
    "bottom_k": "bottom_k (keep the smallest components)",
    "drop_top_k": "drop_top_k (drop the largest components)",
    "random_k": "random_k (keep random components)",
    "lora": "matched-rank LoRA",
}


@dataclass(frozen=True)
class Findings:
    """Sentences: `headline`, then what the numbers show and what they do not. `tone`: good, mixed, bad or open."""

    headline: str
    label: str | None
    tone: str
    reasons: list[str]
    shown: list[str]
    not_shown: list[str]


def findings(results: Results) -> Findings:
    """All sentences for one results dict; nulls anywhere give a sentence that says what is unknown."""
    verdict = results.get("verdict") or {}
    label = verdict.get("label")
    label = label.replace("_", " ") if label else None
    tone, headline = HEADLINES.get(label or "", NO_VERDICT)
    return Findings(headline, label, tone, list(verdict.get("reasons") or []), _shown(results), _not_shown(results))


def _shown(results: Results) -> list[str]:
    parts = (learned(results), shortcut(results), selected(results), loss(results), reduction(results),
             *versus_controls(results), decoupling(results))
    return [sentence for sentence in parts if sentence]


def learned(results: Results) -> str | None:
    """What fine-tuning did to balanced accuracy."""
    base, ft = (_endpoint_rate(results, name, study.accuracy_metric(results)) for name in ("base", "ft"))
    if base is None or ft is None:
        return None
    gained = 100 * (ft.value - base.value)
    return (f"Fine-tuning moved {study.accuracy_metric(results).replace('_', ' ')} from {wording.rate(base)} to {wording.rate(ft)} "
            f"({wording.number(gained, signed=True)} pp).")


def shortcut(results: Results) -> str | None:
    """The gap at base and FT, and whether its interval says that a shortcut was learned."""
    base, ft = (_endpoint_rate(results, name, "gap") for name in ("base", "ft"))
    if ft is None:
        return None
    start = f" (base: {wording.rate(base, signed=True)})" if base else ""
    return f"The fine-tuned model's gap is {wording.rate(ft, signed=True)} pp{start}; {_sure(ft)}."


def selected(results: Results) -> str | None:
    """Which k was chosen, how, and on which split."""
    selection = results.get("selection")
    if not selection or selection.get("k") is None:
        return None
    k = selection["k"]
    said = f"k* = {k} was chosen by the rule “{selection.get('rule')}” on the {selection.get('split')} split without group labels."
    if k == 0:
        return said + " k* = 0: fine-tuning gained nothing measurable there, so no reduction is claimed."
    return said


def loss(results: Results) -> str | None:
    """Accuracy given up at k*, against the paper's 2 pp."""
    record = study.selected_record(results)
    entry = ((record or {}).get("comparison") or {}).get("loss_pp")
    estimate = study.estimate_of(entry)
    if estimate is None:
        return None
    return f"At k* balanced accuracy is {wording.points(estimate)} pp below the fine-tuned model: “under 2 pp” is {_two(entry)}."


def reduction(results: Results) -> str | None:
    """The gap at k* and the reduction factor R."""
    record = study.selected_record(results)
    if record is None:
        return None
    gap = study.metric("gap")(record)
    if gap is None:
        return None
    said = f"At k* the gap is {wording.rate(gap, signed=True)} pp"
    entry = (record.get("comparison") or {}).get("reduction")
    estimate = study.estimate_of(entry)
    if estimate is None:
        ends = (entry or {}).get("interval")
        return f"{said}; the reduction factor is not determined{f', only bounded: {wording.factor(None, ends)[2:]}' if ends else ''}."
    return f"{said}, a reduction by {wording.factor(estimate)}: {_above_one(estimate)}."


def versus_controls(results: Results) -> list[str]:
    """One sentence per control: its gap at matched accuracy against that of top_k at k*."""
    advantage = (results.get("verdict") or {}).get("advantage") or {}
    return [_versus(control, study.estimate_of(entry)) for control, entry in advantage.items()]


def decoupling(results: Results) -> str | None:
    """Whether accuracy outlived the gap along the top_k curve, and what that does not prove."""
    entries = (results.get("verdict") or {}).get("decoupling")
    entry = entries.get("top_k", entries) if isinstance(entries, dict) else None
    estimate = study.estimate_of(entry)
    if estimate is None:
        return None
    return (f"Decoupling of top_k (mean of retained accuracy minus retained gap) is {wording.plain(estimate)}; plain interpolation "
            "can give a positive value too, so by itself it says nothing about the spectrum.")


def _not_shown(results: Results) -> list[str]:
    parts = (no_gap(results), no_selection(results), *specificity(results), missing_controls(results), seeds(results),
             few_training_runs(), boundary(), no_verdict(results))
    return [sentence for sentence in parts if sentence]


def no_gap(results: Results) -> str | None:
    """Said where the gap is null at FT."""
    if study.endpoint(results, "ft") and _endpoint_rate(results, "ft", "gap") is None:
        return "No gap: the primary gap is null (no attribute, an empty cell, or no aligned class), so nothing is said about a shortcut."
    return None


def no_selection(results: Results) -> str | None:
    """Said where no k was selected."""
    if study.selected_k(results) is None:
        return "No k was selected (that needs a validation split), so no operating point, loss or reduction is claimed."
    return None


def specificity(results: Results) -> list[str]:
    """Controls whose decoupling is not shown to be below that of top_k."""
    entries = (results.get("verdict") or {}).get("specificity") or {}
    out = []
    for control, entry in entries.items():
        estimate = study.estimate_of(entry)
        if estimate is None or estimate.low is None or estimate.low <= 0:
            value = f" (difference {wording.plain(estimate)})" if estimate else ""
            out.append(f"That top_k decouples more than {control} is not shown{value}.")
    return out


def missing_controls(results: Results) -> str | None:
    """Names the controls that were not run."""
    present = {record["operator"] for record in study.sweep_records(results)}
    missing = [text for name, text in CONTROLS.items() if not any(name in operator for operator in present)]
    return f"Controls not run: {'; '.join(missing)}." if missing else None


def seeds(results: Results) -> str | None:
    """Says when random_k has too few seeds for an interval or for a verdict."""
    count = len({record.get("seed") for record in study.sweep_records(results) if record["operator"] == "random_k"})
    if not count or count >= 10:
        return None
    few = "too few for any interval" if count < 5 else "enough for an interval, below the ten asked of a verdict"
    return f"random_k was drawn with {count} seed{'s' if count > 1 else ''}: {few}."


def few_training_runs() -> str:
    """A run holds one fine-tuned model."""
    return "This is one fine-tuned model on one task: nothing here speaks for other training seeds, models or data sets."


def boundary() -> str:
    """The boundary case is a run of its own."""
    return "The boundary case (only a shortcut to learn) is not part of this run."


def no_verdict(results: Results) -> str | None:
    """Said where the verdict is null."""
    return None if (results.get("verdict") or {}).get("label") else "No verdict was given."


def _endpoint_rate(results: Results, name: str, key: str) -> study.Estimate | None:
    record = study.endpoint(results, name)
    return study.metric(key)(record) if record else None


def _sure(gap: study.Estimate) -> str:
    if gap.low is None or gap.high is None:
        return "it has no interval, so whether a shortcut was learned is open"
    if gap.low > 0:
        return "its interval excludes 0: a shortcut was learned"
    return "its interval lies below 0: errors favour the conflicting groups" if gap.high < 0 else "its interval covers 0: no shortcut is shown"


def _two(entry: Any) -> str:
    """Confirmed by the one-sided bound if there is one, by the upper limit of the interval otherwise (which is stricter)."""
    upper = entry.get("upper95") if entry.get("upper95") is not None else (entry.get("interval") or (None, None))[1]
    if upper is not None and upper < 2:
        return "confirmed"
    return "only nominal (its upper bound is not below 2 pp)" if entry["value"] < 2 else "not met"


def _above_one(reduction: study.Estimate) -> str:
    if reduction.low is None:
        return "without an interval, which shows nothing"
    if reduction.low > 1:
        return "the interval lies above 1"
    return "the interval does not lie above 1, so no reduction is shown"


def _versus(control: str, advantage: study.Estimate | None) -> str:
    if advantage is None:
        return f"Against {control} at matched accuracy: not determined (not run, or no setting comes near in accuracy)."
    value = f"{wording.rate(advantage, signed=True)} pp"
    if advantage.low is not None and advantage.low > 0:
        return f"At matched accuracy {control} leaves a larger gap than top_k at k*: {value}."
    if advantage.high is not None and advantage.high < 0:
        return f"At matched accuracy {control} leaves a smaller gap than top_k at k*: {value}. The control does better."
    return f"At matched accuracy no difference between {control} and top_k at k* is shown: {value}."
