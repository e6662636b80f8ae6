"""docs/config.md: every key of every config, in order, with the type and the default that the program has."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from key_tables import agrees_with_the_program, tables

from jaxtrunc.config import DecomposeSettings, MeshSettings, RunConfig, SweepSettings, from_mapping
from jaxtrunc.recipes.grid import Grid
from jaxtrunc.recipes.pretrain_config import ModelSettings, PretrainConfig, TextSettings, TextSource, TokenizerSettings
from jaxtrunc.train.settings import LoraSettings, PretrainSettings, TrainSettings

PAGE = (Path(__file__).parents[2] / "docs" / "config.md").read_text()
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


def test_the_page_has_these_tables_and_no_others():
    assert [heading for heading, _ in tables(PAGE, "##+")] == [heading for heading, _ in TABLES]


@pytest.mark.parametrize("place", range(len(TABLES)), ids=[heading.strip("`") for heading, _ in TABLES])
def test_keys_types_and_defaults_are_those_of_the_program(place):
    schema = TABLES[place][1]
    agrees_with_the_program(tables(PAGE, "##+")[place][1], schema, NEEDED.get(schema, {}))


def test_the_run_config_of_the_page_is_one():
    example = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.S)[0])
    config = from_mapping(RunConfig, example, "page")
    assert config.train.learning_rate == 2e-5 and set(example) >= {"train", "decompose", "sweep", "lora", "mesh"}
