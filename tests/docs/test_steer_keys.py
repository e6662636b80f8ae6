"""docs/steer.md: every key of `jaxtrunc steer`, in order, with the type and the default that the program has; its commands."""

import re
from pathlib import Path
from typing import Any

import pytest
from key_tables import agrees_with_the_program, tables

from jaxtrunc.cli import main
from jaxtrunc.config import read_config
from jaxtrunc.core.jsonio import read_json
from jaxtrunc.recipes.steer.config import SteerConfig
from jaxtrunc.recipes.steer.settings import ConstraintSettings, PrimarySettings, SiftSettings, SteerTraining
from jaxtrunc.recipes.steer.task import TaskSettings
from jaxtrunc.recipes.steer.tasks import TASKS
from jaxtrunc.steer import Schedule, Window

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "steer.md").read_text()
NEEDED: dict[type, dict[str, Any]] = {SteerConfig: {"task": "tofu"}, TaskSettings: {"name": "tofu"}, Window: {"kernels": "down"}}
TABLES = [("Config", SteerConfig), ("`task`", TaskSettings), ("`primary`", PrimarySettings), ("`constraint`", ConstraintSettings),
          ("`sift`", SiftSettings), ("`sift.where`, layers as fractions of depth", Window),
          ("`sift.when`, steps counted from 0", Schedule),
          ("`train`, where it differs from fine-tuning (docs/config.md)", SteerTraining)]
COMMANDS = [line.split()[1:] for line in re.findall(r"^jaxtrunc steer .*$", PAGE, re.M)]
FEW = ["train.max_steps=2", "train.epochs=1"]


def test_the_page_has_these_tables():
    assert [heading for heading, _ in tables(PAGE, "###")] == [heading for heading, _ in TABLES]


@pytest.mark.parametrize("place", range(len(TABLES)), ids=[heading.strip("`") for heading, _ in TABLES])
def test_keys_types_and_defaults_are_those_of_the_program(place):
    schema = TABLES[place][1]
    agrees_with_the_program(tables(PAGE, "###")[place][1], schema, NEEDED.get(schema, {}))


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
