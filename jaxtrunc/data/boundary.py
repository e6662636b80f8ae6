"""The boundary case: a task in which a marker is all there is to learn.

`permuted`: the labels of each split are permuted over its rows, so that the text says nothing about them; the marker, one
token per class, is planted afterwards and agrees with the permuted label at the rate ρ of the training split.
`ceiling`: the labels stay; the base model must already solve the task up to a ceiling below ρ, which leaves it the marker
to gain. Whether it does is found out by evaluating it, and stands in the verdict.
"""

from collections.abc import Collection, Sequence

from jaxtrunc.core.errors import InputError
from jaxtrunc.data.hashing import uniforms
from jaxtrunc.data.inject import Inject

KINDS = ("permuted", "ceiling")
ACCURACIES = ("balanced", "training")


def check_boundary(where: str, boundary: str | None, accuracy: str, inject: Inject | None, attributes: Sequence[str],
                   splits: Collection[str]) -> None:
    """Raise `InputError` where a task cannot be the boundary case, or cannot count accuracy as it says."""
    if accuracy == "training" and not (attributes and "train" in splits):
        raise InputError(f"{where}: 'accuracy: training' weighs classes and the first of 'attributes' as the training rows have "
                         "them; expected an attribute and a split 'train'")
    if boundary is None:
        return
    if inject is None or inject.other_token is None:
        raise InputError(f"{where}: 'boundary: {boundary}' needs 'inject' with 'tokens', one for each of two classes")
    if attributes[0] != inject.attribute:
        raise InputError(f"{where}: 'boundary: {boundary}' measures the gap of the marker; expected '{inject.attribute}' first in "
                         f"'attributes', found '{attributes[0]}'")
    if accuracy != "training":
        raise InputError(f"{where}: 'boundary: {boundary}' counts accuracy on the training distribution; leave 'accuracy' out")
    if inject.direction != "aligned" or inject.correlation["train"] <= 0.5:
        raise InputError(f"{where}, inject: in the boundary case the marker agrees with the label; expected 'direction: aligned' "
                         f"and a correlation above 0.5 in 'train', found {inject.direction}, {inject.correlation['train']}")
    if inject.correlation.get("validation", inject.correlation["train"]) != inject.correlation["train"]:
        raise InputError(f"{where}, inject, correlation: in the boundary case the validation split has the training "
                         f"distribution; expected {inject.correlation['train']}, found {inject.correlation['validation']}")


def permuted_labels(ids: Sequence[str], labels: Sequence[int], seed: int, split: str) -> list[int]:
    """The labels of a split, permuted over its rows; a row's new label does not depend on the order of the rows."""
    givers, takers = (_shuffled(ids, f"{seed}/{split}/{role}") for role in ("giver", "taker"))
    given = dict(zip(takers, (labels[index] for index in givers), strict=True))
    return [given[index] for index in range(len(labels))]


def _shuffled(ids: Sequence[str], salt: str) -> list[int]:
    return sorted(range(len(ids)), key=lambda index: (uniforms(f"{salt}/{ids[index]}"), ids[index]))
