"""Checked reading of a YAML mapping: every complaint names the file, the key, what was expected and what was found."""

from collections.abc import Iterable, Mapping
from typing import Any

from jaxtrunc.core.errors import InputError, did_you_mean, refuse_unknown_keys, shown

REQUIRED: Any = object()


class Keys:
    """One mapping of a task file; every method returns the checked value of a key or raises `InputError`.

    Args:
      values: the mapping as YAML gave it.
      where: how messages name it, such as `task.yaml` or `task.yaml, inject`.
      known: every key it may have; another one is refused with the nearest of these.
    """

    def __init__(self, values: Any, where: str, known: Iterable[str]) -> None:
        if not isinstance(values, Mapping):
            raise InputError(f"{where}: expected a mapping of keys to values, found {_show(values)}")
        refuse_unknown_keys(map(str, values), known, where)
        self.values = values
        self.where = where

    def fail(self, key: str, expected: str) -> InputError:
        """The error for a value that is not what was `expected`."""
        return InputError(f"{self.where}: '{key}' must be {expected}, found {_show(self.values.get(key))}")

    def raw(self, key: str, default: Any = REQUIRED) -> Any:
        """The value as it stands; without one and without a default the key is required."""
        if key in self.values:
            return self.values[key]
        if default is REQUIRED:
            raise InputError(f"{self.where}: the required key '{key}' is missing")
        return default

    def text(self, key: str, default: Any = REQUIRED) -> Any:
        """A non-empty string (or the default)."""
        value = self.raw(key, default)
        if value is default or (isinstance(value, str) and value):
            return value
        raise self.fail(key, "a non-empty string")

    def choice(self, key: str, choices: Iterable[Any], default: Any = REQUIRED) -> Any:
        """One of `choices`."""
        value = self.raw(key, default)
        choices = list(choices)
        if isinstance(value, str | None) and value in choices:
            return value
        words = ["null" if choice is None else choice for choice in choices]
        hint = did_you_mean(value, [choice for choice in choices if choice]) if isinstance(value, str) else ""
        raise InputError(f"{self.where}: '{key}' must be one of {', '.join(words)}, found {_show(value)}{hint}")

    def column(self, key: str, columns: list[str]) -> str:
        """One of the text columns; it need not be named where there is only one."""
        return self.choice(key, columns, columns[0]) if len(columns) == 1 else self.choice(key, columns)

    def boolean(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self.raw(key, default)
        if isinstance(value, bool):
            return value
        raise self.fail(key, "true or false")

    def integer(self, key: str, default: int, least: int) -> int:
        """A whole number of at least `least`."""
        value = self.raw(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and value >= least:
            return value
        raise self.fail(key, f"a whole number of at least {least}")

    def names(self, key: str, default: Any = REQUIRED) -> tuple[str, ...]:
        """A list of distinct, non-empty strings."""
        value = self.raw(key, default)
        listed = isinstance(value, list | tuple) and all(isinstance(item, str) and item for item in value)
        if listed and len(set(value)) == len(value):
            return tuple(value)
        raise self.fail(key, "a list of distinct strings (a word such as yes, no, on or 1 needs quotes)")

    def mapping(self, key: str, default: Any = REQUIRED) -> Mapping[str, Any]:
        """A mapping whose keys are strings."""
        value = self.raw(key, default)
        if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
            return value
        raise self.fail(key, "a mapping whose keys are strings")


def share(value: Any, where: str) -> float:
    """A number from 0 to 1; `where` names file and key in the message."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise InputError(f"{where} must be a number from 0 to 1, found {_show(value)}")


def _show(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    return f"{type(value).__name__} {shown(value)}"
