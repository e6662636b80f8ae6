"""Splits and what they are made of: one or several parts, each with its own source, columns and rules."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.data.keys import Keys, share
from jaxtrunc.data.merge import Merge
from jaxtrunc.data.origin import Source, read_source
from jaxtrunc.data.rules import AnyOf, LabelRule, Rule, read_label, read_rules

MAX_PARTS = 100  # each is compared with every other
OWN_KEYS = ("source", "text", "label", "id", "derive")  # of the task, for every part that does not say otherwise
PART_KEYS = ("from", "share", "thin", *OWN_KEYS)


@dataclass(frozen=True)
class Part:
    """Rows of one source, and how they are read.

    Attributes:
      split: value of the column `split`, or file in the directory, or split of the data set; None: every row.
      share: [low, high) of the rows by a fixed hash of the first text; rows with one first text stay together.
      text: name in the prompt → column of this source.
      id: column; None: `id` if it is there, else the row's number.
      derive: attribute → rule; other attributes are columns of 0 and 1.
      thin: attribute → value of it → class → the share of such rows that is kept, by a fixed hash of the id.
    """

    source: Source
    split: str | None
    text: dict[str, str]
    label: LabelRule
    id: str | None = None
    derive: dict[str, Rule] = field(default_factory=dict)
    share: tuple[float, float] = (0.0, 1.0)
    thin: dict[str, dict[int, dict[str, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class PartReader:
    """What the parts of a task have in common.

    Attributes:
      task: the keys of the task file, where a part's own are looked for next.
      text: the task's text columns by name in the prompt.
      plugin: whether the task comes from an installed plug-in.
    """

    task: Keys
    text: dict[str, str]
    classes: tuple[str, ...]
    attributes: tuple[str, ...]
    merge: Merge | None
    plugin: bool

    def splits(self) -> dict[str, tuple[Part, ...]]:
        """The key `splits`; `InputError` for anything it may not say, or for two parts that share rows."""
        given = self.task.mapping("splits", {"train": "train", "validation": "validation", "test": "test"})
        if not given:
            raise self.task.fail("splits", f"a mapping with one to {MAX_PARTS} splits")
        splits = {name: self._split(value, f"{self.task.where}, splits, {name}") for name, value in given.items()}
        if sum(map(len, splits.values())) > MAX_PARTS:
            raise self.task.fail("splits", f"a mapping with one to {MAX_PARTS} splits and parts")
        self._refuse_shared([(name, part) for name, parts in splits.items() for part in parts])
        return splits

    def _split(self, value: Any, where: str) -> tuple[Part, ...]:
        if not isinstance(value, list):
            return (self._part(value, where),)
        if not value:
            raise InputError(f"{where}: expected a list of at least one part, found an empty one")
        return tuple(self._part(each, f"{where}, part {number}") for number, each in enumerate(value))

    def _part(self, value: Any, where: str) -> Part:
        if isinstance(value, str) and value:
            value = {"from": value}
        if not isinstance(value, Mapping):
            raise InputError(f"{where}: expected a string, a mapping with 'from' and 'share', or a list of these, "
                             f"found {shown(value)}")
        keys = Keys(value, where, PART_KEYS)
        place = {name: keys if name in keys.values else self.task for name in OWN_KEYS}
        rules = self._rules(self.task)
        rules |= self._rules(keys)
        return Part(
            source=read_source(place["source"], plugin=self.plugin),
            split=keys.text("from", None),
            text=self._text(keys),
            label=read_label(place["label"], self.classes, self.evaluated),
            id=place["id"].text("id", None),
            derive=self._checked(rules, where),
            share=_bounds(keys),
            thin=self._thin(keys),
        )

    @property
    def evaluated(self) -> tuple[str, ...]:
        """The classes of evaluated splits."""
        return self.classes if self.merge is None else tuple(self.merge.classes)

    def _text(self, keys: Keys) -> dict[str, str]:
        text = read_text(keys) if "text" in keys.values else self.text
        if text.keys() != self.text.keys():
            raise keys.fail("text", f"a mapping with the names of the task's own 'text' ({', '.join(self.text)})")
        return text

    def _rules(self, keys: Keys) -> dict[str, Rule]:
        return read_rules(keys, list(self.text.values()), self.attributes)

    def _checked(self, rules: dict[str, Rule], where: str) -> dict[str, Rule]:
        """The rules, if no attribute is any of attributes that are so themselves."""
        for name, rule in rules.items():
            for member in rule.any_of if isinstance(rule, AnyOf) else ():
                if isinstance(rules.get(member), AnyOf):
                    raise InputError(f"{where}: '{name}' is any_of '{member}', which is any_of others; name those")
        return rules

    def _thin(self, keys: Keys) -> dict[str, dict[int, dict[str, float]]]:
        """`ATTRIBUTE` (value 1) or `ATTRIBUTE=VALUE` → class → share."""
        meaning = {name: (name, 1) for name in self.attributes}
        meaning |= {f"{name}={value}": (name, value) for name in self.attributes for value in (0, 1)}
        given = Keys(keys.mapping("thin", {}), f"{keys.where}, thin", meaning)
        found: dict[str, dict[int, dict[str, float]]] = {}
        for key in given.values:
            name, value = meaning[key]
            shares = Keys(given.mapping(key), f"{given.where}, {key}", (*self.classes, *self.evaluated))
            if value in found.setdefault(name, {}):
                raise InputError(f"{given.where}: '{name}' and '{name}=1' are the same rows; keep one")
            found[name][value] = {c: share(v, f"{shares.where}, {c}") for c, v in shares.values.items()}
        return found

    def _refuse_shared(self, parts: list[tuple[str, Part]]) -> None:
        for (one, a), (other, b) in itertools.combinations(parts, 2):
            if (a.source, a.split) == (b.source, b.split) and max(a.share[0], b.share[0]) < min(a.share[1], b.share[1]):
                raise InputError(f"{self.task.where}: the splits '{one}' and '{other}' share rows; each row may be in one split "
                                 "only")


def read_text(keys: Keys) -> dict[str, str]:
    """The key `text`."""
    text = keys.mapping("text")
    if text and all(isinstance(column, str) and column for column in text.values()):
        return dict(text)
    raise keys.fail("text", "a mapping such as {Sentence: text} from a name in the prompt to a column")


def _bounds(keys: Keys) -> tuple[float, float]:
    bounds = keys.raw("share", [0, 1])
    if not isinstance(bounds, list) or len(bounds) != 2:
        raise keys.fail("share", "[low, high], two numbers from 0 to 1")
    low, high = (share(bound, f"{keys.where}, share") for bound in bounds)
    if low >= high:
        raise keys.fail("share", "[low, high] with low below high")
    return low, high
