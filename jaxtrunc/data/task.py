"""A task (benchmark) file: what it may say, and its strict reading into a frozen `Task`."""

import itertools
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from jaxtrunc.core.errors import InputError, did_you_mean, shown
from jaxtrunc.core.yamlio import read_yaml
from jaxtrunc.data.boundary import ACCURACIES, KINDS, check_boundary
from jaxtrunc.data.inject import Inject, read_inject
from jaxtrunc.data.keys import Keys, share

PROMPT = "{instruction}\n{fields}"
MAX_SPLITS = 100  # each is compared with every other
PLACEHOLDERS = ("instruction", "fields", "label_words")


@dataclass(frozen=True)
class FileSource:
    """Rows in a file, or one file per split in a directory; `path` is relative to the task file."""

    path: str


@dataclass(frozen=True)
class HubSource:
    """A data set for the `datasets` library: a hub id or a local directory (relative to the task file)."""

    hub: str
    config: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class TfdsSource:
    """A TensorFlow Datasets builder, such as `civil_comments` or `glue/sst2`, read from array_record files."""

    tfds: str
    data_dir: str | None = None


Source = FileSource | HubSource | TfdsSource


@dataclass(frozen=True)
class SplitRule:
    """Which rows are a split.

    Attributes:
      source: value of the column `split`, or file in the directory, or split of the data set; None: every row.
      share: [low, high) of the rows by a fixed hash of the first text; rows with one first text stay together.
    """

    source: str | None
    share: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class WordList:
    """An attribute computed from the text: 1 where `field` has one of `words`."""

    field: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """One benchmark, as its file says, with every default filled in.

    Attributes:
      text: name in the prompt → column.
      aligned: attribute → class that it goes with in training; attributes not named here are measured.
      on_empty_group: "error", or None: metrics of an empty (class, attribute) cell are null.
      accuracy: what loss, retention and the choice of k count: "balanced" accuracy, or "training": accuracy on the training
        distribution (each cell of class and first attribute weighted by its share of the training rows).
      boundary: which variant of the boundary case this is (jaxtrunc/data/boundary.py), or None.
      origin: how messages name this task; directory: what its relative paths start from. Neither is part of the hash.
    """

    name: str
    source: Source
    splits: dict[str, SplitRule]
    text: dict[str, str]
    label: str
    classes: tuple[str, ...]
    label_words: tuple[str, ...]
    id: str | None
    attributes: tuple[str, ...]
    aligned: dict[str, str]
    instruction: str
    prompt: str
    scoring: str
    balance: bool
    max_text_tokens: int
    on_bad_row: str
    on_empty_group: str | None
    inject: Inject | None
    derive: dict[str, WordList]
    accuracy: str
    boundary: str | None
    origin: str
    directory: Path

    def resolved(self) -> dict[str, Any]:
        """Plain nested dict of everything that decides rows and prompts; the task's part of its hash."""
        plain = asdict(self)
        return {key: value for key, value in plain.items() if key not in ("origin", "directory")}


KEYS = tuple(field.name for field in fields(Task) if field.name not in ("origin", "directory"))


def read_task(source: Path | Mapping[str, Any], directory: Path | None = None) -> Task:
    """Read a task file, or a task written inside a run config.

    Args:
      source: path of a YAML file, or the mapping itself.
      directory: what relative paths start from; default: the file's own folder, for a mapping the current one.

    Returns:
      The task; nothing but the file itself has been read.

    Raises:
      InputError: no such file, not YAML, an unknown key (with the nearest known one), or a value of the wrong kind.
    """
    if isinstance(source, Mapping):
        return _task(Keys(source, "task", KEYS), directory or Path())
    return _task(Keys(read_yaml(source), str(source), KEYS), directory or source.parent)


def _task(keys: Keys, directory: Path) -> Task:
    classes = _classes(keys)
    text = _text(keys)
    attributes = keys.names("attributes", ())
    splits = _splits(keys)
    inject = read_inject(keys, list(text.values()), classes, attributes, list(splits))
    boundary = keys.choice("boundary", (*KINDS, None), None)
    accuracy = keys.choice("accuracy", ACCURACIES, "training" if boundary else "balanced")
    check_boundary(keys.where, boundary, accuracy, inject, attributes, splits)
    return Task(
        name=keys.text("name"),
        source=_source(keys),
        splits=splits,
        text=text,
        label=keys.text("label"),
        classes=classes,
        label_words=_label_words(keys, classes),
        id=keys.text("id", None),
        attributes=attributes,
        aligned=_aligned(keys, classes, attributes),
        instruction=keys.text("instruction"),
        prompt=_prompt(keys),
        scoring=keys.choice("scoring", ("verbalizer", "likelihood", "likelihood_per_token"), "verbalizer"),
        balance=keys.boolean("balance", True),
        max_text_tokens=keys.integer("max_text_tokens", 300, least=1),
        on_bad_row=keys.choice("on_bad_row", ("error", "skip"), "error"),
        on_empty_group=keys.choice("on_empty_group", ("error", None), "error"),
        inject=inject,
        derive=_derive(keys, text, attributes, inject),
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


def _text(keys: Keys) -> dict[str, str]:
    text = keys.mapping("text")
    if text and all(isinstance(column, str) and column for column in text.values()):
        return dict(text)
    raise keys.fail("text", "a mapping such as {Sentence: text} from a name in the prompt to a column")


def _source(keys: Keys) -> Source:
    value = keys.mapping("source")
    kinds = {"path": FileSource, "hub": HubSource, "tfds": TfdsSource}
    named = [kind for kind in kinds if kind in value]
    if len(named) != 1:
        raise keys.fail("source", "a mapping with exactly one of path, hub, tfds")
    kind = kinds[named[0]]
    known = [field.name for field in fields(kind)]
    part = Keys(value, f"{keys.where}, source", known)
    return kind(**{name: part.text(name) if name == named[0] else part.text(name, None) for name in known})


def _splits(keys: Keys) -> dict[str, SplitRule]:
    given = keys.mapping("splits", {"train": "train", "validation": "validation", "test": "test"})
    if not 0 < len(given) <= MAX_SPLITS:
        raise keys.fail("splits", f"a mapping with one to {MAX_SPLITS} splits")
    rules = {name: _split(value, f"{keys.where}, splits, {name}") for name, value in given.items()}
    for (one, a), (other, b) in itertools.combinations(rules.items(), 2):
        if a.source == b.source and max(a.share[0], b.share[0]) < min(a.share[1], b.share[1]):
            raise InputError(f"{keys.where}: the splits '{one}' and '{other}' share rows; each row may be in one split only")
    return rules


def _split(value: Any, where: str) -> SplitRule:
    if isinstance(value, str) and value:
        return SplitRule(value)
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: expected a string, or a mapping with 'from' and 'share', found {shown(value)}")
    keys = Keys(value, where, ("from", "share"))
    bounds = keys.raw("share", [0, 1])
    if not isinstance(bounds, list) or len(bounds) != 2:
        raise keys.fail("share", "[low, high], two numbers from 0 to 1")
    low, high = (share(bound, f"{where}, share") for bound in bounds)
    if low >= high:
        raise keys.fail("share", "[low, high] with low below high")
    return SplitRule(keys.text("from", None), (low, high))


def _aligned(keys: Keys, classes: tuple[str, ...], attributes: tuple[str, ...]) -> dict[str, str]:
    part = Keys(keys.mapping("aligned", {}), f"{keys.where}, aligned", attributes)
    return {attribute: part.choice(attribute, classes) for attribute in part.values}


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


def _derive(keys: Keys, text: dict[str, str], attributes: tuple[str, ...],
            inject: Inject | None) -> dict[str, WordList]:
    given = Keys(keys.mapping("derive", {}), f"{keys.where}, derive", attributes)
    rules = {}
    for attribute in given.values:
        if inject is not None and inject.attribute == attribute:
            raise InputError(f"{given.where}: '{attribute}' is already the attribute of inject; give it another name")
        part = Keys(given.raw(attribute), f"{given.where}, {attribute}", ("field", "words"))
        words = part.names("words")
        if not words:
            raise part.fail("words", "a list of at least one word")
        rules[attribute] = WordList(part.column("field", list(text.values())), words)
    return rules
