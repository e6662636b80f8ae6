"""Fewer rows of a split, by a seeded choice: equally many of each class, or label and attributes in their shares."""

import random
from collections import Counter
from collections.abc import Sequence

from jaxtrunc.core.errors import InputError
from jaxtrunc.data.examples import Example

SEED = 0  # of balancing and of --limit: part of the meaning of a task file, so nothing to choose


def equal_classes(examples: Sequence[Example], count: int) -> list[Example]:
    """`count` rows of each class, their order kept; each class must have as many."""
    members: dict[int, list[int]] = {}
    for index, example in enumerate(examples):
        members.setdefault(example.label, []).append(index)
    draw = random.Random(SEED)
    kept = [index for label in sorted(members) for index in draw.sample(members[label], count)]
    return [examples[index] for index in sorted(kept)]


def stratified_sample(examples: Sequence[Example], limit: int, attributes: Sequence[str] = ()) -> list[Example]:
    """At most `limit` rows, their order kept.

    Systematic sampling (Cochran, Sampling Techniques, chapter 8): of the rows sorted by stratum, in random order within each,
    every n/limit-th from a random start. So each stratum keeps its share to within one row, whatever the number of strata, and
    every row has the same chance. A group (label, value of one attribute) that would come out empty takes the place of a row
    of the largest stratum.

    Args:
      attributes: those that make the strata, with the label; without any the sample does not depend on groups.

    Raises:
      InputError: `limit` is below 1.
    """
    if limit < 1:
        raise InputError(f"--limit must be at least 1, found {limit}")
    if limit >= len(examples):
        return list(examples)
    draw = random.Random(SEED)
    strata = [_stratum(example, attributes) for example in examples]
    order = sorted(range(len(examples)), key=lambda index: (strata[index], draw.random()))
    start = draw.random()
    kept = [order[int((start + number) * len(order) / limit)] for number in range(limit)]
    _fill_groups(kept, order, strata)
    return [examples[index] for index in sorted(kept)]


def _stratum(example: Example, attributes: Sequence[str]) -> tuple[int, ...]:
    values = (example.attributes[name] for name in attributes)
    return (example.label, *(-1 if value is None else value for value in values))


def _fill_groups(kept: list[int], order: Sequence[int], strata: Sequence[tuple[int, ...]]) -> None:
    """Swap rows in until every group has one, as long as some stratum has a second row to give."""
    filled = {group for index in kept for group in _groups(strata[index])}
    for index in {strata[i]: i for i in order}.values():  # one row of each stratum
        missing = set(_groups(strata[index])) - filled
        largest, size = Counter(strata[i] for i in kept).most_common(1)[0] if missing else ((), 0)
        if size > 1:
            kept.remove(next(i for i in kept if strata[i] == largest))
            kept.append(index)
            filled |= missing


def _groups(stratum: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """(label, number of the attribute, value); of a stratum of the label alone, (label, -1, -1)."""
    label, *values = stratum
    return [(label, -1, -1), *((label, number, value) for number, value in enumerate(values))]
