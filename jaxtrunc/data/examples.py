"""Rows become examples: text, label and attributes checked, ids given, splits cut."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jaxtrunc.core.errors import InputError, did_you_mean, shown
from jaxtrunc.data.boundary import permuted_labels
from jaxtrunc.data.derive import has_word
from jaxtrunc.data.hashing import uniforms
from jaxtrunc.data.inject import Inject, marked
from jaxtrunc.data.sources import Row, split_rows
from jaxtrunc.data.task import Task


@dataclass(frozen=True)
class TrainExample:
    """What training may see of an example. It has no field for attributes, by construction.

    Attributes:
      fields: name in the prompt → text.
      label: index of the class.
    """

    id: str
    fields: dict[str, str]
    label: int


@dataclass(frozen=True)
class Example:
    """One row of a benchmark.

    Attributes:
      fields: name in the prompt → text.
      label: index of the class.
      attributes: name → 0 or 1, in the task's order; metrics alone read them.
      true_label: the class before the labels were permuted (boundary case); None: `label` is it. Metrics alone read it.
    """

    id: str
    fields: dict[str, str]
    label: int
    attributes: dict[str, int]
    split: str
    true_label: int | None = None

    def for_training(self) -> TrainExample:
        """This example without its attributes."""
        return TrainExample(self.id, self.fields, self.label)


class _BadRow(Exception):
    """A row that cannot become an example; the text says why."""


def read_split(task: Task, split: str) -> tuple[list[Example], list[str]]:
    """All examples of one split in the order of the source, and the faults of the rows that were skipped.

    Raises:
      InputError: the source cannot be read; a bad row (unless `on_bad_row: skip`), named by file and line; an id that
        occurs twice; a split without rows.
    """
    examples, faults = [], []
    for row in split_rows(task, task.splits[split]):
        try:
            example = _example(task, split, row)
        except _BadRow as bad:
            faults.append(f"{row.where}: {bad}")
            if task.on_bad_row == "error":
                raise InputError(f"{faults[0]} ('on_bad_row: skip' leaves such rows out)") from None
            continue
        if example is not None:
            examples.append(example)
    _check(task, split, examples, faults)
    return _finished(task, examples), faults


def _check(task: Task, split: str, examples: list[Example], faults: list[str]) -> None:
    if not examples:
        rule = task.splits[split]
        wanted = "" if rule.source is None else f" (asked for: {rule.source})"
        skipped = f"; {len(faults)} bad rows were skipped, the first: {faults[0]}" if faults else ""
        raise InputError(f"{task.origin}: the split '{split}' has no rows{wanted}{skipped}; mend 'splits'")
    seen: set[str] = set()
    for example in examples:
        if example.id in seen:
            raise InputError(f"{task.origin}: the id '{example.id}' occurs twice in the split '{split}'")
        seen.add(example.id)


def _example(task: Task, split: str, row: Row) -> Example | None:
    """The example, or None if the row lies outside the split's share."""
    if row.values is None:
        raise _BadRow(row.fault)
    columns = {column: _text(row.values, column) for column in task.text.values()}
    if not _inside(task.splits[split].share, columns[next(iter(task.text.values()))]):
        return None
    label = _label(task, row.values)
    id = _id(task, split, row)
    attributes = dict(_attributes(task, row.values, columns))
    if task.inject is not None:
        _refuse_tokens(task.inject.tokens, columns[task.inject.field])
    fields = {name: columns[column] for name, column in task.text.items()}
    return Example(id, fields, label, attributes, split)


def _finished(task: Task, examples: list[Example]) -> list[Example]:
    """Labels permuted and the marker planted, where the task says so: what needs the labels of all rows."""
    if task.boundary == "permuted" and task.inject is not None:
        ids, labels = [example.id for example in examples], [example.label for example in examples]
        drawn = permuted_labels(ids, labels, task.inject.seed, examples[0].split)
        examples = [replace(example, label=label, true_label=example.label)
                    for example, label in zip(examples, drawn, strict=True)]
    return examples if task.inject is None else [_marked(task, task.inject, example) for example in examples]


def _marked(task: Task, rule: Inject, example: Example) -> Example:
    names = [name for name, column in task.text.items() if column == rule.field]
    is_target = task.classes[example.label] == rule.target
    text, value = marked(rule, example.split, example.id, is_target, example.fields[names[0]])
    found = example.attributes | {rule.attribute: value}
    return replace(example, fields=example.fields | dict.fromkeys(names, text),
                   attributes={key: found[key] for key in task.attributes})


def _inside(share: tuple[float, float], text: str) -> bool:
    low, high = share
    return (low, high) == (0.0, 1.0) or low <= uniforms(text)[0] < high


def _refuse_tokens(tokens: tuple[str, ...], text: str) -> None:
    for token in set(tokens).intersection(text.split()):
        raise _BadRow(f"the text already has the marker '{token}' of inject; choose a token that does not occur")


def _value(values: Mapping[str, Any], column: str) -> Any:
    if column not in values:
        raise _BadRow(f"no column '{column}'{did_you_mean(column, map(str, values))}")
    return values[column]


def _text(values: Mapping[str, Any], column: str) -> str:
    text = _value(values, column)
    if not isinstance(text, str):
        raise _BadRow(f"the text column '{column}' must hold a string, found {shown(text)}")
    return text


def _id(task: Task, split: str, row: Row) -> str:
    assert row.values is not None
    if task.id is None and "id" not in row.values:
        return f"{split}-{row.number}"
    id = _value(row.values, task.id or "id")
    if id is None or id == "":
        raise _BadRow(f"the id column '{task.id or 'id'}' is empty")
    if isinstance(id, list | dict):
        raise _BadRow(f"the id column '{task.id or 'id'}' must hold a string or a number, found {shown(id)}")
    return str(id)


def _label(task: Task, values: Mapping[str, Any]) -> int:
    value = _value(values, task.label)
    if str(value) in task.classes:
        return task.classes.index(str(value))
    index = _whole_number(value)
    if index is None or not 0 <= index < len(task.classes):
        raise _BadRow(f"the label {shown(value)} in column '{task.label}' is none of the classes {', '.join(task.classes)} "
                      f"nor an index from 0 to {len(task.classes) - 1}")
    return index


def _attributes(task: Task, values: Mapping[str, Any], columns: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    for name in task.attributes:
        if name in task.derive:
            yield name, has_word(task.derive[name], columns[task.derive[name].field])
        elif task.inject is None or name != task.inject.attribute:
            yield name, _binary(name, _value(values, name))


def _binary(name: str, value: Any) -> int:
    number = {"true": 1, "false": 0}.get(str(value).lower(), _whole_number(value))
    if number not in (0, 1):
        raise _BadRow(f"the attribute '{name}' must be 0 or 1 (or true, false), found {shown(value)}")
    return number


def _whole_number(value: Any) -> int | None:
    """`value` as an int if it is one, also written as text or as a float; else None."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return int(number) if math.isfinite(number) and number == int(number) else None
