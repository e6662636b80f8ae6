"""docs/steer.md: every key of `jaxtrunc steer`, in order, with the type and the default that the program has; its commands."""

import dataclasses
import re
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_config_page import rows, type_in_words

from jaxtrunc.cli import main
from jaxtrunc.config import from_mapping, read_config
from jaxtrunc.core.jsonio import read_json
from jaxtrunc.recipes.steer.config import SteerConfig
from jaxtrunc.recipes.steer.settings import ConstraintSettings, PrimarySettings, SiftSettings, SteerTraining
from jaxtrunc.recipes.steer.task import TaskSettings
from jaxtrunc.recipes.steer.tasks import TASKS
from jaxtrunc.steer import Schedule, Window
from jaxtrunc.train.settings import TrainSettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "steer.md").read_text()
NEEDED: dict[type, dict[str, Any]] = {SteerConfig: {"task": "tofu"}, TaskSettings: {"name": "tofu"}, Window: {"kernels": "down"}}
TABLES = [("Config", SteerConfig), ("`task`", TaskSettings), ("`primary`", PrimarySettings), ("`constraint`", ConstraintSettings),
          ("`sift`", SiftSettings), ("`sift.where`, layers as fractions of depth", Window),
          ("`sift.when`, steps counted from 0", Schedule),
          ("`train`, where it differs from fine-tuning (docs/config.md)", SteerTraining)]
COMMANDS = [line.split()[1:] for line in re.findall(r"^jaxtrunc steer .*$", PAGE, re.M)]
FEW = ["train.max_steps=2", "train.epochs=1"]


def tables() -> list[tuple[str, str]]:
    return [(heading, text) for heading, text in re.findall(r"^### (.*?)\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S) if rows(text)]


def shown(schema: Any) -> list[str]:
    usual = {field.name: field.default for field in dataclasses.fields(TrainSettings)} if schema is SteerTraining else {}
    return [field.name for field in dataclasses.fields(schema) if field.name not in usual or usual[field.name] != field.default]


def test_the_page_has_these_tables():
    assert [heading for heading, _ in tables()] == [heading for heading, _ in TABLES]


@pytest.mark.parametrize("place", range(len(TABLES)), ids=[heading.strip("`") for heading, _ in TABLES])
def test_keys_types_and_defaults_are_those_of_the_program(place):
    schema: Any = TABLES[place][1]
    page, needed = rows(tables()[place][1]), NEEDED.get(schema, {})
    assert list(page) == shown(schema)
    hints = typing.get_type_hints(schema)
    assert {key: kind for key, (kind, _) in page.items()} == {key: type_in_words(hints[key]) for key in page}
    assert {key for key, (_, default) in page.items() if default == "required"} == set(needed)
    defaults = {key: yaml.safe_load(default.strip("`")) for key, (_, default) in page.items() if default != "required"}
    assert from_mapping(schema, needed | defaults, "page") == from_mapping(schema, needed, "program")


def test_every_task_and_config_is_named():
    table = PAGE[PAGE.index("| task | preset |"):PAGE.index("The three with real data")]
    named = [name for line in table.splitlines()[2:] if line.startswith("|") for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert sorted(named) == sorted(TASKS)
    files = sorted((ROOT / "configs" / "steer").glob("*.yaml"))
    assert sorted(read_config(file, (), SteerConfig).task_settings.name for file in files) == sorted(TASKS)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=[" ".join(command[1:2] + command[4:]) for command in COMMANDS])
def test_commands_run(command, tmp_path, request, monkeypatch, compilation_cache):
    """As they stand, but for the place and two steps instead of many."""
    if any(f"steer/{name}.yaml" in command[1] for name in ("tofu", "refusals", "selfaware")):
        request.getfixturevalue("shared_data")
    monkeypatch.chdir(ROOT)
    place = command.index("--out-path") + 1
    main([*command[:place], str(tmp_path / "run"), *command[place + 1:], *FEW, "-q"])
    found = read_json(tmp_path / "run" / "steer.json")
    for split in ("validation", "test"):
        assert list(found["metrics"]["after"][split]) and None not in found["metrics"]["after"][split].values()
        assert set(found["metrics"]["before"][split]) == set(found["better"])
    assert (tmp_path / "run/model/model.safetensors").exists() and (tmp_path / "run/report.html").exists()
