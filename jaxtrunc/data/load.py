"""A task and its rows, ready for use: balanced, limited, checked, with a hash."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from jaxtrunc.core.errors import InputError, did_you_mean
from jaxtrunc.core.jsonio import dumps
from jaxtrunc.data.alignment import Counts, Signs, measured_signs, stated_signs, training_counts
from jaxtrunc.data.examples import Example, read_split
from jaxtrunc.data.sampling import equal_classes, stratified_sample
from jaxtrunc.data.task import Task

TRAIN, VALIDATION = "train", "validation"


@dataclass(frozen=True)
class TaskData:
    """A task with its rows.

    Attributes:
      examples: split → examples, for the splits that were asked for.
      warnings: sentences for the user and for results.json.
      aligned: attribute → one sign per evaluated class: +1 the class goes with attribute 1 in training, −1 with attribute 0, 0 it
        is left out of the gap; None if nothing is known (`gap` is then null, and a warning says why).
        gap = mean over classes with a sign of sign · [A(y, a=1) − A(y, a=0)].
      training_counts: attribute → per evaluated class the training rows with attribute 0 and 1; None without a training split.
      hash: of the resolved task, the limit and the rows of every split but the training split.
    """

    task: Task
    examples: dict[str, list[Example]]
    warnings: list[str]
    aligned: dict[str, Signs | None]
    training_counts: dict[str, Counts | None]
    hash: str


def load_task(task: Task, splits: Iterable[str] | None = None, limit: int | None = None) -> TaskData:
    """Read the rows of a task; all its splits are read, so that every fault shows before anything is trained.

    Args:
      splits: the splits that are wanted; default: all that the task has.
      limit: keep this many rows of each evaluated split, a seeded sample stratified by label and attributes; of the validation
        split by label alone, since checkpoints and k are chosen on it and no group label may have a say in that.

    Raises:
      InputError: a split the task does not have, an unreadable source, a bad row, an empty (class, attribute) cell.
    """
    wanted = list(task.splits if splits is None else splits)
    for name in wanted:
        if name not in task.splits:
            raise InputError(f"{task.origin}: there is no split '{name}' in 'splits'{did_you_mean(name, task.splits)}")
    warnings: list[str] = []
    rows = {name: _read(task, name, warnings) for name in task.splits}
    counts = {name: _counts(task, name, rows.get(TRAIN)) for name in task.attributes}
    aligned = {name: _aligned(task, name, counts[name], warnings) for name in task.attributes}
    if limit is not None:
        rows = {name: found if name == TRAIN else _sample(task, name, found, limit) for name, found in rows.items()}
    for name, examples in rows.items():
        if name not in (TRAIN, VALIDATION):  # no metric of these two has groups
            warnings += _check_cells(task, name, examples)
    examples = {name: rows[name] for name in wanted}
    return TaskData(task, examples, warnings, aligned, counts, _hash(task, rows, limit))


def _read(task: Task, split: str, warnings: list[str]) -> list[Example]:
    examples, faults = read_split(task, split)
    if faults:
        warnings.append(f"split '{split}': {len(faults)} bad rows were skipped, the first: {faults[0]}")
    return balanced(task, examples) if split == TRAIN and task.balance else examples


def _sample(task: Task, split: str, examples: list[Example], limit: int) -> list[Example]:
    return stratified_sample(examples, limit, () if split == VALIDATION else task.attributes)


def balanced(task: Task, examples: Sequence[Example]) -> list[Example]:
    """As many rows of each class as the rarest has."""
    counts = Counter(example.label for example in examples)
    for label, name in enumerate(task.classes):
        if label not in counts:
            raise InputError(f"{task.origin}: the training split has no row of the class '{name}', so it cannot be "
                             "balanced; add rows or set 'balance: false'")
    return equal_classes(examples, min(counts.values()))


def _counts(task: Task, attribute: str, train: list[Example] | None) -> Counts | None:
    return None if train is None else training_counts(task, train, attribute)


def _aligned(task: Task, attribute: str, counts: Counts | None, warnings: list[str]) -> Signs | None:
    if attribute in task.aligned:
        return stated_signs(task, attribute)
    if counts is None:
        warnings.append(f"the gap of '{attribute}' is null: {task.origin} neither states "
                        f"'aligned: {{{attribute}: CLASS}}' nor has a training split to measure it on")
        return None
    signs = measured_signs(counts)
    left_out = [name for name, sign in zip(task.evaluated, signs, strict=True) if sign == 0]
    if len(left_out) == len(signs):
        warnings.append(f"the gap of '{attribute}' is null: in the training split it goes with no class (every 95 % "
                        "interval of the difference covers 0)")
        return None
    if left_out:
        warnings.append(f"the gap of '{attribute}' leaves out {', '.join(left_out)}: in the training split the 95 % "
                        "interval of the difference to the mean over classes covers 0")
    return signs


def _check_cells(task: Task, split: str, examples: Sequence[Example]) -> list[str]:
    """Warnings for the empty cells of a split, or `InputError` for the first one."""
    warnings = []
    for number, attribute in enumerate(task.attributes):
        filled = {(example.label, example.attributes[attribute]) for example in examples}
        if number == 0 and None in {value for _, value in filled}:
            raise InputError(f"{task.origin}: '{attribute}', the first of 'attributes', is missing in rows of the split '{split}'; "
                             "name one first that every row has")
        for label, value in product(range(len(task.evaluated)), (0, 1)):
            if (label, value) in filled:
                continue
            cell = f"the split '{split}' has no row with class '{task.evaluated[label]}' and {attribute} = {value}"
            if task.on_empty_group == "error":
                raise InputError(f"{task.origin}: {cell}; add rows, or set 'on_empty_group: null' to get null metrics")
            warnings.append(f"{cell}: metrics of '{attribute}' that need it are null")
    return warnings


def _hash(task: Task, rows: dict[str, list[Example]], limit: int | None) -> str:
    digest = hashlib.sha256(dumps({"task": task.resolved(), "limit": limit}).encode())
    for split in sorted(rows.keys() - {TRAIN}):
        for example in rows[split]:
            digest.update(dumps([split, example.id, example.fields, example.label, example.attributes]).encode())
    return digest.hexdigest()
