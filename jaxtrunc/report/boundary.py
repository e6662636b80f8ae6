"""The boundary case on the page: accuracy on each set at base, FT and k*, and what the case is for."""

from collections.abc import Mapping
from typing import Any

from jaxtrunc.report import study, wording
from jaxtrunc.report.study import Results
from jaxtrunc.report.tables import Table

ENDS = ("base", "ft", "k*")
SETS = {"aligned": "marker agrees with the class", "conflicting": "marker flipped", "marker_free": "no marker",
        "true_task": "no marker, true labels (the task itself)"}
CASES = {
    "permuted": "the labels were permuted over the rows, so the text says nothing about them, and a marker word that agrees with "
                "them in {rate} of the training rows is all there is to learn. Accuracy and gap are then nearly one quantity: this "
                "checks the instrument more than the claim",
    "ceiling": "the base model solves the task already, up to a ceiling below the {rate} at which a planted marker word agrees "
               "with the label in training, so the marker is all there is to gain",
}
EXPECTED = ("Expected of a sound instrument in the boundary case is the label “collapse to base”: whatever truncation takes from "
            "the gap it takes from the accuracy on the training distribution too.")


def boundary_of(results: Results) -> Mapping[str, Any] | None:
    """The `boundary` of the verdict; None where the task is another one."""
    return (results.get("verdict") or {}).get("boundary")


def boundary_table(results: Results) -> Table | None:
    """Accuracy with Wilson interval on each set at base, FT and k*."""
    case = boundary_of(results)
    if case is None:
        return None
    sets = {end: case["sets"].get(end) or {} for end in ENDS}
    rows = [(title, _rows(sets, name), *(wording.rate(study.estimate_of(sets[end].get(name))) for end in ENDS))
            for name, title in SETS.items()]
    k = study.selected_k(results)
    return Table(("accuracy (%)", "n", "base", "FT", f"top_k at k* = {k}" if k is not None else "k* (none)"), rows)


def boundary_sentences(results: Results) -> list[str]:
    """What the case is, what came out on each set, and which preconditions hold."""
    case = boundary_of(results)
    if case is None:
        return []
    said = CASES[case["variant"]].format(rate=f"{100 * case['agreement']:.0f} %")
    sentences = [f"This is the boundary case, variant “{case['variant']}”: {said}. {EXPECTED}"]
    ft = case["sets"].get("ft") or {}
    if ft:
        aligned, flipped, free, true = (wording.rate(study.estimate_of(ft.get(name))) for name in SETS)
        sentences.append(f"The fine-tuned model is right in {aligned} % where the marker agrees, {flipped} % where it is flipped, "
                         f"{free} % without a marker, and {true} % on the true task.")
    failed = [condition["reason"] for condition in case["preconditions"] if not condition["holds"]]
    return sentences + [f"A precondition of the case does not hold, so it tests nothing: {reason}." for reason in failed]


def _rows(sets: Mapping[str, Mapping[str, Any]], name: str) -> str:
    return next((str(found[name]["n"]) for found in sets.values() if name in found), wording.NONE)
