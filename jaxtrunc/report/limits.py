"""What a run did not show: missing controls, null statistics, too few seeds, one model on one task."""

from jaxtrunc.report import study, wording
from jaxtrunc.report.study import Results

CONTROLS = {
    "interpolate": "interpolation (base + α · update), the control that tells the spectrum from mere scaling",
    "bottom_k": "bottom_k (keep the smallest components)",
    "drop_top_k": "drop_top_k (drop the largest components)",
    "random_k": "random_k (keep random components)",
    "lora": "matched-rank LoRA",
}
SEEDS_FOR_INTERVAL, SEEDS_FOR_VERDICT = 5, 10


def not_shown(results: Results) -> list[str]:
    """One sentence per thing that a reader might take for shown, and that is not."""
    parts = (no_gap(results), no_selection(results), no_verdict(results), no_decoupling(results),
             missing_controls(results), not_norm_matched(results), unmatched(results), not_specific(results),
             too_few_seeds(results), boundary(results), tail(results), scope())
    return [sentence for sentence in parts if sentence]


def no_gap(results: Results) -> str | None:
    """The primary gap is null at FT."""
    if study.endpoint(results, "ft") and study.at_endpoint(results, "ft", "gap") is None:
        return ("Anything about a shortcut: the primary gap is null (no attribute, an empty group, or no class known to go "
                "with the attribute).")
    return None


def no_selection(results: Results) -> str | None:
    """No k was selected."""
    if study.selected_k(results) is None:
        return ("An operating point: no k was chosen (that needs a validation split, and top_k at ranks), so no loss or reduction "
                "is claimed, and reading the best k off these curves would be choosing it on the test split.")
    return None


def no_verdict(results: Results) -> str | None:
    """The verdict is null."""
    return None if (results.get("verdict") or {}).get("label") else "A verdict: none was given."


def no_decoupling(results: Results) -> str | None:
    """The decoupling of top_k is null."""
    why = ((results.get("verdict") or {}).get("missing") or {}).get("decoupling")
    return f"Whether gap and accuracy decouple: {why}." if why else None


def missing_controls(results: Results) -> str | None:
    """Controls of which there is no record."""
    present = {record["operator"] for record in study.sweep_records(results)}
    missing = [text for name, text in CONTROLS.items() if name not in present]
    return f"Controls not run: {'; '.join(missing)}." if missing else None


def not_norm_matched(results: Results) -> str | None:
    """Controls were run at their own norm only."""
    if any(record.get("norm_matched") for record in study.sweep_records(results)):
        return None
    return ("Norm-matched controls were not run: top_k keeps far more of the update's norm than the other operators at the "
            "same k, and norm alone may explain a difference to them.")


def unmatched(results: Results) -> str | None:
    """Controls that were run but not compared at matched accuracy, with the reason."""
    verdict, present = results.get("verdict") or {}, {study.variant_of(record).label for record in study.sweep_records(results)}
    reasons: dict[str, list[str]] = {}
    for name, reason in (verdict.get("missing") or {}).items():
        if name in present:
            reasons.setdefault(reason, []).append(name)
    if not reasons or not study.selected_k(results):
        return None
    said = [f"{', '.join(names)} ({why})" for why, names in reasons.items()]
    return f"Not compared at matched accuracy: {'; '.join(said)}."


def not_specific(results: Results) -> str | None:
    """Controls whose decoupling is not shown to be below that of top_k."""
    entries = (results.get("verdict") or {}).get("specificity") or {}
    known = ((control, study.estimate_of(entry)) for control, entry in entries.items())
    open_ones = [f"{control} ({wording.plain(estimate)})" for control, estimate in known
                 if estimate and not (estimate.low is not None and estimate.low > 0)]
    return f"That top_k decouples more than these (difference of decoupling): {'; '.join(open_ones)}." if open_ones else None


def too_few_seeds(results: Results) -> str | None:
    """random_k has too few seeds for an interval or for a verdict."""
    count = len({record.get("seed") for record in study.sweep_records(results) if record["operator"] == "random_k"})
    if not count or count >= SEEDS_FOR_VERDICT:
        return None
    few = "too few for any interval" if count < SEEDS_FOR_INTERVAL else f"a verdict asks for {SEEDS_FOR_VERDICT}"
    return f"How random_k varies: it was drawn with {count} seed{'s' if count > 1 else ''}; {few}."


def boundary(results: Results) -> str | None:
    """The boundary case is a run of its own."""
    if (results.get("verdict") or {}).get("boundary"):
        return None
    return "The boundary case (a task with nothing but a shortcut to learn): it is not part of this run."


def tail(results: Results) -> str | None:
    """The tail of a bfloat16 checkpoint says nothing about fine-tuning."""
    if not any(entry.get("bf16_source") for entry in (results.get("spectra") or {}).values()):
        return None
    return ("Anything about the tail of the update: bfloat16 rounding of the checkpoints has written over it. Fine-tune again with "
            "float32 weights and save those.")


def scope() -> str:
    """A run holds one fine-tuned model."""
    return "Anything beyond one fine-tuned model on one task: other training seeds, models or data sets."
