"""The small tables of the page: end points and k*, controls, module types. All cells are text."""

from dataclasses import dataclass

from jaxtrunc.report import study, wording
from jaxtrunc.report.study import Record, Results
from jaxtrunc.report.tensors import Spectrum, by_module, summary

# Metric, what it is called, whether a sign says something, and the entry of `comparison` that is its reduction.
METRICS = (
    ("accuracy", "accuracy (%)", False, None),
    ("balanced_accuracy", "balanced accuracy (%)", False, None),
    ("accuracy_training_weighted", "accuracy, groups weighted as in training (%)", False, None),
    ("worst_group_accuracy", "worst group accuracy (%)", False, None),
    ("worst_group_accuracy_wilds", "worst group accuracy, overlapping groups (%)", False, None),
    ("gap", "gap: mean over classes of aligned − conflicting (pp)", True, "reduction"),
    ("gap_pooled", "gap_pooled: all aligned − all conflicting (pp)", True, "reduction_pooled"),
    ("gap_worst", "gap_worst: accuracy − worst group (pp)", False, "reduction_worst"),
    ("gap_range", "gap_range: best − worst group (pp)", False, "reduction_range"),
    ("gap_range_permuted", "gap_range by chance, attribute permuted (pp)", False, None),
    ("fpr_gap", "false-positive rate with − without the attribute (pp)", True, "reduction_fpr"),
    ("calibration_error", "calibration error (%)", False, None),
    ("verbalizer_mass", "probability on the label words (%)", False, None),
)
SPECTRUM = (("relative_norm", "‖ΔW‖ / ‖W‖ (%)", 100, 1), ("stable_rank", "stable rank", 1, 1),
            ("effective_rank", "effective rank", 1, 1), ("k90", "k for 90 % energy", 1, 0),
            ("rank", "rank", 1, 0), ("zero_share", "unchanged (%)", 100, 1))


@dataclass(frozen=True)
class Table:
    """Column heads and rows of text; the first column names the row."""

    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def endpoints(results: Results) -> Table:
    """Every metric at base, FT and k*, and for each definition of the gap the factor by which it shrank."""
    ends = [study.endpoint(results, "base"), study.endpoint(results, "ft"), study.selected_record(results)]
    rows = []
    for key, name, signed, factor in METRICS:
        cells = [wording.rate(_read(end, key), signed=signed) for end in ends]
        if any(cell != wording.NONE for cell in cells):
            rows.append((name, *cells, wording.factor(study.selected_entry(results, factor)) if factor else ""))
    k = study.selected_k(results)
    return Table(("", "base", "FT", f"top_k at k* = {k}" if k is not None else "k* (none)", "FT → k*"), rows)


def controls(results: Results) -> Table:
    """Per curve: its decoupling, how far top_k decouples beyond it, and its gap beyond top_k's at matched accuracy."""
    verdict = results.get("verdict") or {}
    parts = [verdict.get(name) or {} for name in ("decoupling", "specificity", "advantage")]
    known = [name for name in dict.fromkeys(name for part in parts for name in part)
             if any(study.estimate_of(part.get(name)) for part in parts)]
    rows = [(name, *(wording.plain(study.estimate_of(part.get(name))) for part in parts[:2]),
             wording.rate(study.estimate_of(parts[2].get(name)), signed=True), _settings(name, parts[2].get(name)))
            for name in known]
    return Table(("operator", "decoupling", "top_k − this", "|gap| − |gap of top_k at k*| (pp)", "compared at"), rows)


def modules(results: Results) -> Table:
    """Per module type: median over its matrices (lowest to highest) of the numbers that describe the spectrum."""
    groups = by_module(results)
    present = [column for column in SPECTRUM if any(summary(group, column[0]) for group in groups.values())]
    rows = [(name, str(len(group)), *(_spread(group, key, by, digits) for key, _, by, digits in present), noise_like(group))
            for name, group in groups.items()]
    return Table(("module", "matrices", *(title for _, title, _, _ in present), "noise edge valid"), rows)


def _read(record: Record | None, key: str) -> study.Estimate | None:
    return study.metric(key)(record) if record else None


def _settings(curve: str, entry: dict | None) -> str:
    """The settings of the control that have the accuracy of top_k at k*: one, or two that are mixed."""
    axis = study.PARAMETER_AXES.get(curve.removeprefix("norm-matched "), "fraction")
    points = (entry or {}).get("points") or []
    names = [f"k = {point['k']}" if point.get("k") is not None else wording.at(axis, point["param"]) for point in points]
    return " and ".join(names) or wording.NONE


def noise_like(group: list[Spectrum]) -> str:
    """In how many matrices the bulk follows the Marchenko–Pastur law, so that its edge means something."""
    known = [spectrum.mp_valid for spectrum in group if spectrum.mp_valid is not None]
    return f"{sum(known)} of {len(known)}" if known else wording.NONE


def _spread(group: list[Spectrum], key: str, by: float, digits: int) -> str:
    found = summary(group, key)
    if found is None:
        return wording.NONE
    middle, low, high = (wording.number(by * value, digits) for value in found)
    return middle if low == high else f"{middle} ({low} to {high})"
