"""A task (benchmark) file: what it may say, and its strict reading into a frozen `Task`."""

import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from jaxtrunc.core.errors import InputError, did_you_mean
from jaxtrunc.core.yamlio import read_yaml
from jaxtrunc.data.boundary import ACCURACIES, KINDS, check_boundary
from jaxtrunc.data.inject import Inject, read_inject
from jaxtrunc.data.keys import Keys
from jaxtrunc.data.merge import Merge, read_merge
from jaxtrunc.data.parts import OWN_KEYS, Part, PartReader, read_text
from jaxtrunc.data.rules import AnyOf

PROMPT = "{instruction}\n{fields}"
PLACEHOLDERS = ("instruction", "fields", "label_words")


@dataclass(frozen=True)
class Task:
    """One benchmark, as its file says, with every default filled in.

    Attributes:
      splits: name → the parts it is made of; what the file says of source, text, label, id and derive stands in each.
      text: name in the prompt → column; a part may have other columns.
      merge: the classes of evaluated splits, where they are not `classes`.
      aligned: attribute → class → the value that goes with it in training; a class that is not named is left out of the gap,
        an attribute that is not named is measured.
      on_empty_group: "error", or None: metrics of an empty (class, attribute) cell are null.
      accuracy: what loss, retention and the choice of k count: "balanced" accuracy, or "training": accuracy on the training
        distribution (each cell of class and first attribute weighted by its share of the training rows).
      boundary: which variant of the boundary case this is (jaxtrunc/data/boundary.py), or None.
      origin: how messages name this task; directory: what its relative paths start from. Neither is part of the hash.
    """

    name: str
    splits: dict[str, tuple[Part, ...]]
    text: dict[str, str]
    classes: tuple[str, ...]
    label_words: tuple[str, ...]
    merge: Merge | None
    attributes: tuple[str, ...]
    aligned: dict[str, dict[str, int]]
    instruction: str
    prompt: str
    scoring: str
    balance: bool
    max_text_tokens: int
    on_bad_row: str
    on_empty_group: str | None
    inject: Inject | None
    accuracy: str
    boundary: str | None
    origin: str
    directory: Path

    @property
    def evaluated(self) -> tuple[str, ...]:
        """The classes of every split but the training split."""
        return self.classes if self.merge is None else tuple(self.merge.classes)

    @property
    def unions(self) -> tuple[str, ...]:
        """The attributes that are others taken together (`any_of`) in any part."""
        rules = [part.derive for parts in self.splits.values() for part in parts]
        return tuple(name for name in self.attributes if any(isinstance(derive.get(name), AnyOf) for derive in rules))

    def class_names(self, split: str) -> tuple[str, ...]:
        """The classes that the labels of a split count."""
        return self.classes if split == "train" else self.evaluated

    def evaluated_label(self, trained: int) -> int:
        """The index, among the evaluated classes, of a trained class."""
        return trained if self.merge is None else self.merge.index(self.classes[trained])

    def resolved(self) -> dict[str, Any]:
        """Plain nested dict of everything that decides rows and prompts; the task's part of its hash."""
        plain = asdict(self)
        return {key: value for key, value in plain.items() if key not in ("origin", "directory")}


KEYS = (*(field.name for field in fields(Task) if field.name not in ("origin", "directory")), *OWN_KEYS)


def read_task(source: Path | Mapping[str, Any], directory: Path | None = None, *, plugin: str | None = None) -> Task:
    """Read a task file, or a task written inside a run config.

    Args:
      source: path of a YAML file, or the mapping itself.
      directory: what relative paths start from; default: the file's own folder, for a mapping the current one.
      plugin: how messages name the installed plug-in it comes from, which alone may name Python code (what comes with jaxtrunc
        counts as one); None: from no plug-in.

    Returns:
      The task; nothing but the file itself has been read.

    Raises:
      InputError: no such file, not YAML, an unknown key (with the nearest known one), or a value of the wrong kind.
    """
    if isinstance(source, Mapping):
        return _task(Keys(source, plugin or "task", KEYS), directory or Path(), plugin is not None)
    return _task(Keys(read_yaml(source), str(source), KEYS), directory or source.parent, plugin is not None)


def _task(keys: Keys, directory: Path, plugin: bool) -> Task:
    classes = _classes(keys)
    text = read_text(keys)
    attributes = keys.names("attributes", ())
    merge = read_merge(keys, classes)
    reader = PartReader(keys, text, classes, attributes, merge, plugin)
    splits = reader.splits()
    inject = read_inject(keys, list(text.values()), classes, attributes, list(splits))
    boundary = keys.choice("boundary", (*KINDS, None), None)
    accuracy = keys.choice("accuracy", ACCURACIES, "training" if boundary else "balanced")
    check_boundary(keys.where, boundary, accuracy, inject, attributes, splits)
    _check_inject(keys, inject, merge, splits)
    return Task(
        name=keys.text("name"),
        splits=splits,
        text=text,
        classes=classes,
        label_words=_label_words(keys, classes),
        merge=merge,
        attributes=attributes,
        aligned=_aligned(keys, reader.evaluated, attributes),
        instruction=keys.text("instruction"),
        prompt=_prompt(keys),
        scoring=keys.choice("scoring", ("verbalizer", "likelihood", "likelihood_per_token"), "verbalizer"),
        balance=keys.boolean("balance", True),
        max_text_tokens=keys.integer("max_text_tokens", 300, least=1),
        on_bad_row=keys.choice("on_bad_row", ("error", "skip"), "error"),
        on_empty_group=keys.choice("on_empty_group", ("error", None), "error"),
        inject=inject,
        accuracy=accuracy,
        boundary=boundary,
        origin=keys.where,
        directory=directory,
    )


def _classes(keys: Keys) -> tuple[str, ...]:
    classes = keys.names("classes")
    if len(classes) < 2:
        raise keys.fail("classes", "at least two class names")
    return classes


def _label_words(keys: Keys, classes: tuple[str, ...]) -> tuple[str, ...]:
    words = keys.names("label_words", classes)
    if len(words) != len(classes):
        raise keys.fail("label_words", f"{len(classes)} strings, one per class")
    return words


def _aligned(keys: Keys, classes: tuple[str, ...], attributes: tuple[str, ...]) -> dict[str, dict[str, int]]:
    part = Keys(keys.mapping("aligned", {}), f"{keys.where}, aligned", attributes)
    return {attribute: _directions(part, attribute, classes) for attribute in part.values}


def _directions(part: Keys, attribute: str, classes: tuple[str, ...]) -> dict[str, int]:
    """`CLASS` (value 1 goes with it, 0 with every other), or a mapping from the classes that take part to their values."""
    if not isinstance(part.raw(attribute), Mapping):
        chosen = part.choice(attribute, classes)
        return {name: int(name == chosen) for name in classes}
    given = Keys(part.raw(attribute), f"{part.where}, {attribute}", classes)
    if not given.values or any(type(value) is not int or value not in (0, 1) for value in given.values.values()):
        raise part.fail(attribute, "a class, or a mapping from classes to 0 or 1")
    return {name: given.values[name] for name in classes if name in given.values}


def _check_inject(keys: Keys, inject: Inject | None, merge: Merge | None, splits: Mapping[str, tuple[Part, ...]]) -> None:
    """Refuse rules that would give an injected attribute, or its class, a second meaning."""
    if inject is None:
        return
    if merge is not None:
        raise InputError(f"{keys.where}: 'merge' and 'inject' do not go together; leave one out")
    for part in (part for parts in splits.values() for part in parts):
        if inject.attribute in part.derive:
            raise InputError(f"{keys.where}, derive: '{inject.attribute}' is already the attribute of inject; give it another name")
        sources = [name for rule in part.derive.values() if isinstance(rule, AnyOf) for name in rule.any_of]
        if inject.attribute in (*sources, *part.thin):
            raise InputError(f"{keys.where}: '{inject.attribute}' is planted last, so neither any_of nor thin can know it")


def _prompt(keys: Keys) -> str:
    prompt = keys.text("prompt", PROMPT)
    try:
        parts = list(string.Formatter().parse(prompt))
    except ValueError as error:
        raise InputError(f"{keys.where}: 'prompt' has unmatched braces ({error}); write {{{{ for a brace") from None
    names = [name for _, name, _, _ in parts if name is not None]
    if any(form or conversion for _, _, form, conversion in parts):  # {fields:999999999} would be padded to a gigabyte
        raise keys.fail("prompt", "a string whose braces hold a name alone, without : or !")
    for name in names:
        if name not in PLACEHOLDERS:
            raise InputError(f"{keys.where}: 'prompt' has the unknown placeholder {{{name}}}"
                             f"{did_you_mean(name, PLACEHOLDERS)}")
    if "fields" not in names:
        raise keys.fail("prompt", "a string with {fields}, where the text goes")
    return prompt
