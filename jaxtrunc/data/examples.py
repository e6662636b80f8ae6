"""Rows become examples: text, label and attributes checked, ids given, splits cut."""

from dataclasses import dataclass, replace

from jaxtrunc.core.errors import InputError
from jaxtrunc.data.boundary import permuted_labels
from jaxtrunc.data.derive import attributes_of, class_name
from jaxtrunc.data.hashing import uniforms
from jaxtrunc.data.inject import Inject, marked
from jaxtrunc.data.parts import Part
from jaxtrunc.data.sources import Row, part_rows
from jaxtrunc.data.task import Task
from jaxtrunc.data.values import BadRow, id_of, text_of


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
      label: index of the class, among those of the split.
      attributes: name → 0 or 1, None where it is missing, in the task's order; metrics alone read them.
      true_label: the class before the labels were permuted (boundary case); None: `label` is it. Metrics alone read it.
    """

    id: str
    fields: dict[str, str]
    label: int
    attributes: dict[str, int | None]
    split: str
    true_label: int | None = None

    def for_training(self) -> TrainExample:
        """This example without its attributes."""
        return TrainExample(self.id, self.fields, self.label)


def read_split(task: Task, split: str) -> tuple[list[Example], list[str]]:
    """All examples of one split in the order of the source, and the faults of the rows that were skipped.

    Raises:
      InputError: the source cannot be read; a bad row (unless `on_bad_row: skip`), named by file and line; an id that
        occurs twice; a split, or a part of one, without rows.
    """
    parts = task.splits[split]
    examples, faults = [], []
    for number, part in enumerate(parts):
        found, bad = _read_part(task, split, part, "" if len(parts) == 1 else f"{number}-")
        examples, faults = examples + found, faults + bad
    _refuse_doubled(task, split, examples)
    return _finished(task, examples), faults


def _read_part(task: Task, split: str, part: Part, prefix: str) -> tuple[list[Example], list[str]]:
    """The same for one part; `prefix` keeps the ids of the parts apart."""
    examples, faults = [], []
    for row in part_rows(task, part):
        try:
            example = _example(task, split, part, row, prefix)
        except BadRow as bad:
            faults.append(f"{row.where}: {bad}")
            if task.on_bad_row == "error":
                raise InputError(f"{faults[0]} ('on_bad_row: skip' leaves such rows out)") from None
            continue
        if example is not None:
            examples.append(example)
    if not examples:
        wanted = "" if part.split is None else f" (asked for: {part.split})"
        skipped = f"; {len(faults)} bad rows were skipped, the first: {faults[0]}" if faults else ""
        raise InputError(f"{task.origin}: the split '{split}' has no rows{wanted}{skipped}; mend 'splits'")
    return examples, faults


def _refuse_doubled(task: Task, split: str, examples: list[Example]) -> None:
    seen: set[str] = set()
    for example in examples:
        if example.id in seen:
            raise InputError(f"{task.origin}: the id '{example.id}' occurs twice in the split '{split}'")
        seen.add(example.id)


def _example(task: Task, split: str, part: Part, row: Row, prefix: str) -> Example | None:
    """The example, or None if the row lies outside the part's share or is thinned out."""
    if row.values is None:
        raise BadRow(row.fault)
    fields = {name: text_of(row.values, column) for name, column in part.text.items()}
    if not _inside(part.share, next(iter(fields.values()))):
        return None
    names = task.class_names(split)
    said = class_name(part.label, row.values, task.classes, tuple(dict.fromkeys((*names, *task.classes))))
    id = prefix + _id(split, part, row)
    texts = {column: fields[name] for name, column in task.text.items()}
    wanted = [name for name in task.attributes if task.inject is None or name != task.inject.attribute]
    attributes = attributes_of(wanted, part.derive, row.values, texts)
    if not _kept(part, said, id, attributes):
        return None
    if task.inject is not None:
        _refuse_tokens(task.inject.tokens, texts[task.inject.field])
    label = names.index(said) if said in names else task.evaluated_label(task.classes.index(said))
    return Example(id, fields, label, attributes, split)


def _id(split: str, part: Part, row: Row) -> str:
    assert row.values is not None
    if part.id is None and "id" not in row.values:
        return f"{split}-{row.number}"
    return id_of(row.values, part.id or "id")


def _kept(part: Part, label: str, id: str, attributes: dict[str, int | None]) -> bool:
    """Whether the row outlives `thin`; its draw depends on its id alone."""
    shares = [rates.get(label, 1.0) for name, by_value in part.thin.items()
              for value, rates in by_value.items() if attributes[name] == value]
    return all(uniforms(f"thin/{id}")[0] < share for share in shares)


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
        raise BadRow(f"the text already has the marker '{token}' of inject; choose a token that does not occur")
