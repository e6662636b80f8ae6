"""What the pages with tables of config keys have in common: their rows, and the program's types and defaults beside them."""

import dataclasses
import re
import types
import typing
from typing import Any

import yaml

from jaxtrunc.config import from_mapping
from jaxtrunc.train.settings import TrainSettings

WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", dict: "mapping", type(None): "null"}


def tables(page: str, marks: str) -> list[tuple[str, str]]:
    """Heading and text of every section with a table of keys; `marks` are those of the headings, as a regular expression."""
    found = re.findall(rf"^{marks} (.*?)\n(.*?)(?=^##|\Z)", page, re.M | re.S)
    return [(heading, text) for heading, text in found if rows(text)]


def rows(text: str) -> dict[str, tuple[str, str]]:
    """Key → type and default, as the page has them."""
    return {key: (kind, default) for key, kind, default in re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|", text, re.M)}


def agrees_with_the_program(text: str, schema: Any, needed: dict[str, Any]) -> None:
    """Assert that a table has every field in order, with its type and default.

    A schema that only changes some defaults of fine-tuning shows those, and what it adds.
    """
    page = rows(text)
    assert list(page) == _shown(schema)
    hints = typing.get_type_hints(schema)
    assert {key: kind for key, (kind, _) in page.items()} == {key: _type_in_words(hints[key]) for key in page}
    assert {key for key, (_, default) in page.items() if default == "required"} == set(needed)
    defaults = {key: yaml.safe_load(default.strip("`")) for key, (_, default) in page.items() if default != "required"}
    assert from_mapping(schema, needed | defaults, "page") == from_mapping(schema, needed, "program")


def _shown(schema: Any) -> list[str]:
    derived = schema is not TrainSettings and issubclass(schema, TrainSettings)
    usual = {field.name: field.default for field in dataclasses.fields(TrainSettings)} if derived else {}
    return [field.name for field in dataclasses.fields(schema) if field.name not in usual or usual[field.name] != field.default]


def _type_in_words(hint: Any) -> str:
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        literals = [word for part in inside if typing.get_origin(part) is typing.Literal for word in _literal(part)]
        return _listed([*literals, *(_type_in_words(part) for part in inside if typing.get_origin(part) is not typing.Literal)])
    if origin is typing.Literal:
        return _listed(_literal(hint))
    if origin is tuple:
        return f"list of {'mapping' if dataclasses.is_dataclass(inside[0]) else WORDS[inside[0]]}".replace(
            "number", "numbers").replace("mapping", "mappings")
    return "section" if dataclasses.is_dataclass(hint) else WORDS[hint]


def _literal(hint: Any) -> list[str]:
    return [f"`{word}`" for word in typing.get_args(hint)]


def _listed(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
