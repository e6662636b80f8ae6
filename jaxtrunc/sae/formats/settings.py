"""The JSON file of settings beside an autoencoder's weights, key by key."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.core.jsonio import read_json


@dataclass(frozen=True)
class Settings:
    """What one file says; every method raises `InputError` naming file and key. A null counts as absent."""

    file: Path
    values: dict[str, Any]

    def get(self, *keys: str) -> Any:
        """The value of the first of these keys that is there."""
        return next((value for key in keys if (value := self.values.get(key)) is not None), None)

    def whole(self, *keys: str) -> int:
        """A whole number of at least 1."""
        value = self.get(*keys)
        if type(value) is not int or value < 1:
            raise self.wrong(keys[0], "a whole number of at least 1", value)
        return value

    def number(self, value: Any, name: str) -> float:
        """`value`, which stands at `name`, if it is a number of at least 0 that float32 can hold."""
        if type(value) not in (int, float) or not 0 <= value < 1e30:
            raise self.wrong(name, "a number of at least 0", value)
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self.get(key)
        if value is not None and type(value) is not bool:
            raise self.wrong(key, "true or false", value)
        return default if value is None else value

    def text(self, *keys: str) -> str | None:
        """A string, or None."""
        value = self.get(*keys)
        if value is not None and not isinstance(value, str):
            raise self.wrong(keys[0], "a string", value)
        return value

    def section(self, key: str) -> "Settings":
        """An object inside this one; empty if it is absent."""
        value = self.get(key)
        if value is not None and not isinstance(value, dict):
            raise self.wrong(key, "an object", value)
        return Settings(self.file, value or {})

    def allow(self, key: str, *allowed: Any) -> None:
        """Refuse a value of `key` that is none of these; absent is allowed."""
        value = self.get(key)
        if value is not None and not any(value == each and type(value) is type(each) for each in allowed):
            raise self.wrong(key, f"{' or '.join(map(_word, allowed))} (others compute what this package does not)", value)

    def wrong(self, key: str, expected: str, found: Any) -> InputError:
        """The error to raise for a key."""
        return InputError(f"{self.file}: {key}: expected {expected}, found {'nothing' if found is None else shown(found)}")


def read_settings(file: Path) -> Settings:
    """The settings of one file, which holds an object."""
    values = read_json(file)
    if not isinstance(values, dict):
        raise InputError(f"{file}: expected a JSON object")
    return Settings(file, values)


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
