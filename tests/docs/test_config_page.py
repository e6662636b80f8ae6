"""docs/config.md: every key of every config, in order, with the type and the default that the program has."""

import dataclasses
import re
import types
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml

from jaxtrunc.config import DecomposeSettings, MeshSettings, RunConfig, SweepSettings, from_mapping
from jaxtrunc.recipes.grid import Grid
from jaxtrunc.recipes.pretrain_config import ModelSettings, PretrainConfig, TextSettings, TextSource, TokenizerSettings
from jaxtrunc.train.settings import LoraSettings, PretrainSettings, TrainSettings

PAGE = (Path(__file__).parents[2] / "docs" / "config.md").read_text()
WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", dict: "mapping", type(None): "null"}
SHAPE = dict.fromkeys(("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"), 1)
DATA = {"sources": [{"path": "text.txt"}]}
NEEDED: dict[type, dict[str, Any]] = {
    RunConfig: {"name": "n", "base_model": "b", "task": "t"}, Grid: {"name": "n", "base_models": {}, "tasks": {}},
    PretrainConfig: {"name": "n", "model": SHAPE, "data": DATA}, ModelSettings: SHAPE, TextSettings: DATA,
    TextSource: {"path": "text.txt"},
}
# Each heading that has a table, in the order of the page.
TABLES = [("Run config", RunConfig), ("`train`", TrainSettings), ("`decompose`", DecomposeSettings), ("`sweep`", SweepSettings),
          ("`lora`", LoraSettings), ("`mesh`", MeshSettings), ("Grid", Grid), ("Pre-training config", PretrainConfig),
          ("`model`", ModelSettings), ("`data`", TextSettings), ("`sources`", TextSource), ("`tokenizer`", TokenizerSettings),
          ("`train`, where pre-training differs", PretrainSettings)]


def sections() -> list[tuple[str, str]]:
    return re.findall(r"^##+ (.*?)\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S)


def rows(text: str) -> dict[str, tuple[str, str]]:
    """Key → type and default, as the page has them."""
    return {key: (kind, default) for key, kind, default in re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|", text, re.M)}


def shown_fields(schema: Any) -> list[str]:
    """All fields; of pre-training those that fine-tuning lacks or has with another default."""
    usual = {field.name: field.default for field in dataclasses.fields(TrainSettings)} if schema is PretrainSettings else {}
    return [field.name for field in dataclasses.fields(schema) if field.name not in usual or usual[field.name] != field.default]


def type_in_words(hint: Any) -> str:
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        literals = [word for part in inside if typing.get_origin(part) is typing.Literal for word in literal(part)]
        return listed([*literals, *(type_in_words(part) for part in inside if typing.get_origin(part) is not typing.Literal)])
    if origin is typing.Literal:
        return listed(literal(hint))
    if origin is tuple:
        return f"list of {'mapping' if dataclasses.is_dataclass(inside[0]) else WORDS[inside[0]]}".replace(
            "number", "numbers").replace("mapping", "mappings")
    return "section" if dataclasses.is_dataclass(hint) else WORDS[hint]


def literal(hint: Any) -> list[str]:
    return [f"`{word}`" for word in typing.get_args(hint)]


def listed(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def test_the_page_has_these_tables_and_no_others():
    assert [heading for heading, text in sections() if rows(text)] == [heading for heading, _ in TABLES]


@pytest.mark.parametrize("place", range(len(TABLES)), ids=[heading.strip("`") for heading, _ in TABLES])
def test_keys_types_and_defaults_are_those_of_the_program(place):
    schema: Any = TABLES[place][1]
    page, needed = rows([text for _, text in sections() if rows(text)][place]), NEEDED.get(schema, {})
    assert list(page) == shown_fields(schema)
    hints = typing.get_type_hints(schema)
    assert {key: kind for key, (kind, _) in page.items()} == {key: type_in_words(hints[key]) for key in page}
    assert {key for key, (_, default) in page.items() if default == "required"} == set(needed)
    defaults = {key: yaml.safe_load(default.strip("`")) for key, (_, default) in page.items() if default != "required"}
    assert from_mapping(schema, needed | defaults, "page") == from_mapping(schema, needed, "program")


def test_the_run_config_of_the_page_is_one():
    example = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.S)[0])
    config = from_mapping(RunConfig, example, "page")
    assert config.train.learning_rate == 2e-5 and set(example) >= {"train", "decompose", "sweep", "lora", "mesh"}
