"""Single values of a row, checked; what is wrong with one is a `BadRow`."""

import math
from collections.abc import Mapping
from typing import Any

from jaxtrunc.core.errors import did_you_mean, shown


class BadRow(Exception):
    """A row that cannot become an example; the text says why."""


def value_of(values: Mapping[str, Any], column: str) -> Any:
    """What stands in a column."""
    if column not in values:
        raise BadRow(f"no column '{column}'{did_you_mean(column, map(str, values))}")
    return values[column]


def text_of(values: Mapping[str, Any], column: str) -> str:
    """The string in a text column."""
    text = value_of(values, column)
    if not isinstance(text, str):
        raise BadRow(f"the text column '{column}' must hold a string, found {shown(text)}")
    return text


def id_of(values: Mapping[str, Any], column: str) -> str:
    """The id, as text."""
    id = value_of(values, column)
    if id is None or id == "":
        raise BadRow(f"the id column '{column}' is empty")
    if isinstance(id, list | dict):
        raise BadRow(f"the id column '{column}' must hold a string or a number, found {shown(id)}")
    return str(id)


def binary_of(values: Mapping[str, Any], column: str) -> int:
    """0 or 1, in any spelling."""
    value = value_of(values, column)
    number = {"true": 1, "false": 0}.get(str(value).lower(), whole_number(value))
    if number not in (0, 1):
        raise BadRow(f"the attribute '{column}' must be 0 or 1 (or true, false), found {shown(value)}")
    return number


def number_of(values: Mapping[str, Any], column: str) -> float:
    """A finite number, also written as text."""
    value = value_of(values, column)
    number = _number(value)
    if number is None:
        raise BadRow(f"the column '{column}' must hold a number, found {shown(value)}")
    return number


def whole_number(value: Any) -> int | None:
    """`value` as an int if it is one, also written as text or as a float; else None."""
    number = _number(value)
    return int(number) if number is not None and number == int(number) else None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
