"""Plain-language findings from the numbers of a study, and with the same weight what was not shown."""

from dataclasses import dataclass
from statistics import median

from jaxtrunc.report import study, wording
from jaxtrunc.report.boundary import boundary_sentences
from jaxtrunc.report.limits import not_shown
from jaxtrunc.report.study import Entry, Estimate, Results

HEADLINES = {
    "supported": ("good", "Supported in this run: keeping the leading components of the update shrank the gap at small "
                          "loss, and no control compared did as well at matched accuracy."),
    "not specific to the spectrum": ("mixed", "What was found is not due to the spectrum: either scaling the whole update down "
                                              "does no worse at matched accuracy, or the spectrum is flat and has no order."),
    "refuted": ("bad", "Refuted in this run: keeping the leading components of the update did not reduce the gap ahead "
                       "of accuracy."),
    "collapse to base": ("bad", "Collapse to base: truncation only slides the model back from fine-tuned to base; "
                                "accuracy and gap go together."),
    "not tested": ("open", "Not tested: this run gives truncation nothing to show, neither for nor against."),
    "inconclusive": ("open", "Inconclusive: the numbers of this run decide nothing about truncation, for or against."),
}
NO_VERDICT = ("open", "No verdict: the results do not hold what a verdict needs.")


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
    tone, headline = HEADLINES.get(label or "", NO_VERDICT)
    return Findings(headline, label, tone, list(verdict.get("reasons") or []), shown(results), not_shown(results))


def shown(results: Results) -> list[str]:
    """What the numbers say, from fine-tuning to the controls, whichever way it goes."""
    parts = (*boundary_sentences(results), learned(results), shortcut(results), selected(results), loss(results),
             reduction(results), *versus_controls(results), decoupling(results), collapse(results), rounding(results),
             resolution(results))
    return [sentence for sentence in parts if sentence]


def learned(results: Results) -> str | None:
    """What fine-tuning did to accuracy."""
    key = study.accuracy_metric(results)
    base, ft = (study.at_endpoint(results, name, key) for name in ("base", "ft"))
    if base is None or ft is None:
        return None
    gained = wording.number(100 * (ft.value - base.value), signed=True)
    name = wording.ACCURACIES[key].capitalize()
    return f"{name} is {wording.rate(base)} % in the base and {wording.rate(ft)} % in the fine-tuned model ({gained} pp)."


def shortcut(results: Results) -> str | None:
    """The gap at base and FT, and whether its interval says that a shortcut was learned."""
    base, ft = (study.at_endpoint(results, name, "gap") for name in ("base", "ft"))
    if ft is None:
        return None
    start = f" (base: {wording.rate(base, signed=True)} pp)" if base else ""
    return f"The fine-tuned model's gap is {wording.rate(ft, signed=True)} pp{start}; {_sure(ft)}."


def selected(results: Results) -> str | None:
    """Which k was chosen, how, and on which split."""
    selection = results.get("selection") or {}
    k = selection.get("k")
    if k is None:
        return None
    said = (f"k* = {k} was chosen by the rule “{selection.get('rule')}” on the {selection.get('split')} split, "
            "without group labels.")
    if k == 0:
        return f"{said} k* = 0 means that fine-tuning gained nothing measurable there: no reduction is claimed."
    largest = max((record["k"] for record in study.sweep_records(results) if record.get("k") is not None), default=None)
    if largest is None or k < largest:
        return said
    return f"{said} No smaller k of the grid kept the accuracy{', so nothing is cut' if k > largest else ''}."


def loss(results: Results) -> str | None:
    """Accuracy given up at k*, against the paper's 2 pp."""
    entry = study.selected_entry(results, "loss_pp")
    estimate = study.estimate_of(entry)
    if entry is None or estimate is None:
        return None
    word = {"nominal": "only nominal (its one-sided upper bound is not below 2)"}.get(entry["claim"], entry["claim"])
    name = wording.ACCURACIES[study.accuracy_metric(results)]
    return f"Loss of {name} at k*: {wording.points(estimate)} pp; “under 2 pp” is {word}."


def reduction(results: Results) -> str | None:
    """The gap at k* and the reduction factor R."""
    record = study.selected_record(results)
    gap = study.metric("gap")(record) if record else None
    if gap is None:
        return None
    said = f"At k* the gap is {wording.rate(gap, signed=True)} pp"
    entry = study.selected_entry(results, "reduction")
    if entry is None:
        return f"{said}; no reduction factor is given."
    if entry.get("overshoot"):
        said += ", of the opposite sign (overshoot)"
    return f"{said}; reduction {wording.factor(entry)}: {_above_one(entry)}."


def versus_controls(results: Results) -> list[str]:
    """Controls by how their gap compares at matched accuracy with that of top_k at k*: one sentence per outcome."""
    outcomes: dict[str, list[str]] = {}
    for name, entry in ((results.get("verdict") or {}).get("advantage") or {}).items():
        estimate = study.estimate_of(entry)
        if estimate:
            outcomes.setdefault(_versus(estimate), []).append(f"{name} {wording.rate(estimate, signed=True)}")
    return [f"At matched accuracy, {outcome} (pp): {'; '.join(names)}." for outcome, names in outcomes.items()]


def decoupling(results: Results) -> str | None:
    """Whether accuracy outlived the gap along the top_k curve, and what that does not prove."""
    entries = (results.get("verdict") or {}).get("decoupling") or {}
    estimate = study.estimate_of(entries.get("top_k"))
    if estimate is None:
        return None
    return (f"Decoupling of top_k (mean of retained accuracy minus retained gap) is {wording.plain(estimate)}. Plain "
            "interpolation can have a positive one too, so by itself it says nothing about the spectrum.")


def collapse(results: Results) -> str | None:
    """What the label “collapse to base” says."""
    if (results.get("verdict") or {}).get("label") != "collapse to base":
        return None
    return ("“Collapse to base” says: as components are cut, the share of the accuracy that fine-tuning gained and the share of "
            "the gap that it opened fall together (the interval of their mean difference lies within ±0.10), and at k* the gap is "
            "not shown to be smaller. The truncated models lie on the way from the fine-tuned model back to the base; none of them "
            "sheds the gap and keeps the accuracy.")


def rounding(results: Results) -> str | None:
    """That the tail is rounding noise, where the checkpoints went through bfloat16."""
    spectra = list((results.get("spectra") or {}).values())
    marked = [entry for entry in spectra if entry.get("bf16_source")]
    if not marked:
        return None
    said = (f"{len(marked)} of {len(spectra)} cut matrices hold bfloat16 values (bf16_source): rounding adds a tail of full rank "
            "to the update, which is not what fine-tuning wrote")
    known = [(entry["above_bf16"], entry["rank"]) for entry in marked if entry.get("above_bf16") is not None]
    if not known:
        return f"{said}; what a cut of the tail changes here is rounding first of all."
    above, rank = (round(median(values)) for values in zip(*known, strict=True))
    return (f"{said}. In the median matrix {above} of {rank} components rise above the edge that rounding alone would give; a cut "
            f"beyond k = {above} tells of rounding.")


def resolution(results: Results) -> str | None:
    """How much of the update bfloat16 could not hold, whatever the dtype of the checkpoints."""
    spectra = (results.get("spectra") or {}).values()
    below, zero = ([entry[key] for entry in spectra if entry.get(key) is not None] for key in ("below_bf16", "zero_share"))
    if not below or not zero:
        return None
    lost, unchanged = (wording.number(100 * median(shares)) for shares in (below, zero))
    return (f"Updates below bfloat16 resolution: {lost} % of the entries of ΔW in the median matrix, which a checkpoint stored in "
            f"bfloat16 would lose; {unchanged} % are exactly 0 as it is.")


def _sure(gap: Estimate) -> str:
    if gap.low is None or gap.high is None:
        return "without an interval, whether a shortcut was learned stays open"
    if gap.low > 0:
        return "the interval excludes 0, a shortcut was learned"
    return "the interval lies below 0, against the stated direction" if gap.high < 0 else "the interval covers 0"


def _above_one(entry: Entry) -> str:
    low, high = entry.get("interval") or (None, None)
    if low is None and high is None:
        return "without an interval, which shows nothing"
    if low is not None and low > 1:
        return "the interval lies above 1"
    return "the interval does not lie above 1, so no reduction is shown"


def _versus(advantage: Estimate) -> str:
    if advantage.low is not None and advantage.low > 0:
        return "controls that leave a larger gap than top_k at k*"
    if advantage.high is not None and advantage.high < 0:
        return "controls that leave a smaller gap than top_k at k*, and so do better"
    return "controls that are not shown to leave another gap than top_k at k*"
