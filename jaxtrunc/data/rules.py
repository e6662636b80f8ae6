"""How labels and attributes are read off a row: the rules a task file may give, and their strict reading."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jaxtrunc.core.errors import InputError
from jaxtrunc.data.keys import Keys, share


@dataclass(frozen=True)
class LabelRule:
    """The class of a row.

    Attributes:
      column: where it stands, as a class name or its index.
      at_least: the value is a number, and the second of two classes begins here; None: it is no number.
      values: value in the column (as text) → class name; empty: the column says it.
    """

    column: str
    at_least: float | None = None
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WordList:
    """1 where the text column `field` has one of `words`."""

    field: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Overlap:
    """1 where two text columns share at least this part of their distinct words (intersection over union)."""

    overlap: tuple[str, str]
    at_least: float


@dataclass(frozen=True)
class Threshold:
    """1 where one of the columns, which hold numbers, reaches `at_least`."""

    columns: tuple[str, ...]
    at_least: float


@dataclass(frozen=True)
class ValueMap:
    """What a value of the column (as text) stands for; the attribute is missing where another value stands."""

    column: str
    values: dict[str, int]


@dataclass(frozen=True)
class AnyOf:
    """1 where one of these attributes is 1."""

    any_of: tuple[str, ...]


@dataclass(frozen=True)
class Fixed:
    """The same for every row; None: missing."""

    value: int | None


Rule = WordList | Overlap | Threshold | ValueMap | AnyOf | Fixed
LABEL_KEYS = ("column", "at_least", "values")
# the key that tells a rule from the others, and what else it needs
KINDS = {"words": ("field", "words"), "overlap": ("overlap", "at_least"), "columns": ("columns", "at_least"),
         "column": ("column", "values"), "any_of": ("any_of",), "value": ("value",)}


def read_label(keys: Keys, classes: tuple[str, ...], evaluated: tuple[str, ...]) -> LabelRule:
    """The key `label`: a column, or `{column, at_least}`, or `{column, values}`.

    Args:
      evaluated: the classes of the evaluated splits, where they are others.
    """
    if isinstance(keys.raw("label"), str):
        return LabelRule(keys.text("label"))
    if not isinstance(keys.raw("label"), Mapping):
        raise keys.fail("label", "a column, or a mapping with 'column' and 'at_least' or 'values'")
    part = Keys(keys.raw("label"), f"{keys.where}, label", LABEL_KEYS)
    column = part.text("column")
    if "at_least" in part.values and "values" in part.values:
        raise InputError(f"{part.where}: expected 'at_least' or 'values', found both")
    if "at_least" in part.values and len(classes) != 2:
        raise part.fail("at_least", f"left out: it cuts a column in two classes, and there are {len(classes)}")
    at_least = share(part.raw("at_least"), f"{part.where}, at_least") if "at_least" in part.values else None
    known = dict.fromkeys((*classes, *evaluated))
    return LabelRule(column, at_least, {} if "values" not in part.values else _values(part, list(known)))


def read_rules(keys: Keys, columns: list[str], attributes: tuple[str, ...]) -> dict[str, Rule]:
    """The key `derive`: attribute → rule.

    Args:
      columns: the text columns of the task.
      attributes: those that the task declares.
    """
    given = Keys(keys.mapping("derive", {}), f"{keys.where}, derive", attributes)
    return {attribute: _rule(given, attribute, columns, attributes) for attribute in given.values}


def _rule(given: Keys, attribute: str, columns: list[str], attributes: tuple[str, ...]) -> Rule:
    where = f"{given.where}, {attribute}"
    value = given.raw(attribute)
    kinds = [kind for kind in KINDS if isinstance(value, Mapping) and kind in value]
    if len(kinds) != 1:
        raise InputError(f"{where}: expected a mapping with exactly one of {', '.join(KINDS)}, found {', '.join(kinds) or 'none'}")
    part = Keys(value, where, KINDS[kinds[0]])
    match kinds[0]:
        case "words":
            return WordList(part.column("field", columns), _some(part, "words", "word"))
        case "overlap":
            return Overlap(_pair(part, columns), share(part.raw("at_least"), f"{where}, at_least"))
        case "columns":
            return Threshold(_some(part, "columns", "column"), share(part.raw("at_least"), f"{where}, at_least"))
        case "column":
            return ValueMap(part.text("column"), _values(part, [0, 1]))
        case "any_of":
            return AnyOf(_others(part, attribute, attributes))
        case _:
            if part.raw("value") not in (0, 1, None) or isinstance(part.raw("value"), bool):
                raise part.fail("value", "0, 1 or null (the attribute is missing)")
            return Fixed(part.raw("value"))


def _some(part: Keys, key: str, what: str) -> tuple[str, ...]:
    names = part.names(key)
    if not names:
        raise part.fail(key, f"a list of at least one {what}")
    return names


def _pair(part: Keys, columns: list[str]) -> tuple[str, str]:
    names = part.names("overlap")
    if len(names) != 2 or not set(names) <= set(columns):
        raise part.fail("overlap", f"two of the text columns {', '.join(columns)}")
    return names[0], names[1]


def _others(part: Keys, attribute: str, attributes: tuple[str, ...]) -> tuple[str, ...]:
    names = _some(part, "any_of", "attribute")
    if attribute in names or not set(names) <= set(attributes):
        raise part.fail("any_of", f"some of the other attributes ({', '.join(attributes)})")
    return names


def _values(part: Keys, allowed: list[Any]) -> dict[str, Any]:
    """A mapping from values of a column to the `allowed` ones."""
    given = part.raw("values")
    if isinstance(given, Mapping) and given:
        found = {str(value): meaning for value, meaning in given.items()}
        if len(found) == len(given) and all(type(m) in (int, str) and m in allowed for m in found.values()):
            return found
    raise part.fail("values", f"a mapping from values of the column to {', '.join(map(str, allowed))}")
