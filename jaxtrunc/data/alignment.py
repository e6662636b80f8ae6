"""Which class goes with which value of an attribute in training."""

import math
from collections import Counter
from collections.abc import Sequence

from jaxtrunc.data.examples import Example
from jaxtrunc.data.task import Task

Signs = tuple[int, ...]
Counts = tuple[tuple[int, int], ...]  # per class: rows with attribute 0, rows with attribute 1


def stated_signs(task: Task, attribute: str) -> Signs:
    """Per evaluated class: +1 if `aligned` says that value 1 goes with it, −1 if value 0, 0 if it does not name it."""
    values = task.aligned[attribute]
    return tuple({1: 1, 0: -1}.get(values.get(name, -1), 0) for name in task.evaluated)


def training_counts(task: Task, examples: Sequence[Example], attribute: str) -> Counts:
    """Training examples per evaluated class and attribute value; those in which it is missing are not counted."""
    pairs = Counter((task.evaluated_label(example.label), example.attributes[attribute]) for example in examples)
    return tuple((pairs[label, 0], pairs[label, 1]) for label in range(len(task.evaluated)))


def measured_signs(counts: Counts) -> Signs:
    """Per class: +1 if P(a=1|y) exceeds its mean over classes, −1 if it is below, 0 if the 95 % interval covers 0.

    The interval of the difference is MOVER (Newcombe 1998; Zou and Donner 2008) from the Wilson limits of the classes'
    rates, since rates of 0 and 1 are ordinary here.
    """
    from scipy.stats import binomtest

    if any(sum(pair) == 0 for pair in counts):
        return (0,) * len(counts)
    rates = [ones / (zeros + ones) for zeros, ones in counts]
    limits = [binomtest(ones, zeros + ones).proportion_ci(method="wilson") for zeros, ones in counts]
    lows, highs = [limit.low for limit in limits], [limit.high for limit in limits]
    return tuple(_sign(y, rates, lows, highs) for y in range(len(counts)))


def _sign(y: int, rates: list[float], lows: list[float], highs: list[float]) -> int:
    """Sign of rates[y] − mean(rates), 0 if its interval covers 0."""
    weights = [(1.0 if i == y else 0.0) - 1.0 / len(rates) for i in range(len(rates))]
    difference = sum(w * p for w, p in zip(weights, rates, strict=True))
    below = [w * (p - (low if w > 0 else high)) for w, p, low, high in zip(weights, rates, lows, highs, strict=True)]
    above = [w * ((high if w > 0 else low) - p) for w, p, low, high in zip(weights, rates, lows, highs, strict=True)]
    if difference - math.hypot(*below) > 0:
        return 1
    return -1 if difference + math.hypot(*above) < 0 else 0
