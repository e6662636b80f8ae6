"""Numbers as people read them: rates and gaps in percentage points, intervals in brackets, a dash for null."""

from jaxtrunc.report.study import Entry, Estimate, Variant

NONE = "–"
ACCURACIES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy",
              "accuracy_training_weighted": "accuracy on the training distribution"}


def number(value: float | None, digits: int = 1, *, signed: bool = False) -> str:
    """Fixed digits with a true minus sign; a value that rounds to zero carries no sign."""
    if value is None:
        return NONE
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−")


def interval(low: float | None, high: float | None, digits: int = 1, *, signed: bool = False) -> str:
    """`[low, high]`; one open end is ∞; empty if both are null."""
    if low is None and high is None:
        return ""
    ends = (number(low, digits, signed=signed) if low is not None else "−∞",
            number(high, digits, signed=signed) if high is not None else "∞")
    return f"[{', '.join(ends)}]"


def rate(estimate: Estimate | None, *, signed: bool = False) -> str:
    """A fraction as points with its interval: `71.3 [69.0, 73.5]`."""
    return _joined(estimate and Estimate(*in_points(estimate)), 1, signed)


def points(estimate: Estimate | None) -> str:
    """A quantity already in points, with its interval."""
    return _joined(estimate, 1, True)


def factor(entry: Entry | None) -> str:
    """A ratio such as the reduction R: `3.1× [2.2, 4.9]`; with a null value only its bounds: `– [2.2, ∞]`."""
    low, high = (entry or {}).get("interval") or (None, None)
    return f"{times((entry or {}).get('value'))} {interval(low, high, 2)}".rstrip()


def times(value: float | None) -> str:
    """A ratio without its interval: `3.10×`."""
    return NONE if value is None else f"{number(value, 2)}×"


def plain(estimate: Estimate | None, digits: int = 2) -> str:
    """A pure number such as a decoupling, signed, with its interval."""
    return _joined(estimate, digits, True)


def at(axis: str, x: float) -> str:
    """A position on an axis: `8` on k, `10 %` for a fraction or share, `α = 0.5` elsewhere."""
    if axis == "":
        return NONE
    if axis in ("fraction", "share"):
        return f"{100 * x:g} %"
    return f"{x:.0f}" if axis in ("k", "K") else f"{axis} = {x:g}"


def axis_title(axis: str) -> str:
    """What the axis of a plot is called."""
    titles = {"k": "k, components kept per matrix (drop_top_k: dropped; lora: rank)",
              "K": "K, components kept in all matrices together", "fraction": "fraction of components kept",
              "α": "α, share of the update added", "τ": "τ, share of energy kept", "ρ": "ρ, threshold relative to s₁",
              "share": "share of entries kept"}
    return titles[axis]


def axis_name(axis: str) -> str:
    """The short name of an axis, as it stands in a sentence."""
    names = {"fraction": "the fraction kept", "share": "the share of entries kept", "K": "the total number of components"}
    return names.get(axis, axis)


def in_points(estimate: Estimate) -> tuple[float, float | None, float | None]:
    """Value and limits of a fraction, in points."""
    low, high = (None if end is None else 100 * end for end in (estimate.low, estimate.high))
    return 100 * estimate.value, low, high


def variant_name(variant: Variant) -> str:
    """The label, with the axis named where it is not k."""
    return variant.label if variant.axis in ("k", "K", "") else f"{variant.label} ({variant.axis})"


def _joined(estimate: Estimate | None, digits: int, signed: bool) -> str:
    if estimate is None:
        return NONE
    ends = interval(estimate.low, estimate.high, digits, signed=signed)
    return f"{number(estimate.value, digits, signed=signed)} {ends}".rstrip()
