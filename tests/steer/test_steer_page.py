"""docs/steer.md: its program runs, and its table has every option."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from jaxtrunc.recipes.steer.settings import Method
from jaxtrunc.recipes.steer.tasks import TASKS
from jaxtrunc.steer import COMBINERS, PRESETS, SiftOptions
from jaxtrunc.verbs.steer import Steer

PAGE = (Path(__file__).parents[2] / "docs" / "steer.md").read_text()


def block(holds):
    """The program of the page that holds these words."""
    return next(found for found in re.findall(r"```python\n(.*?)```", PAGE, re.S) if holds in found)


@pytest.mark.slow
def test_a_task_of_ones_own_forgets_and_keeps(tmp_path, monkeypatch, compilation_cache):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(block("SteerTask("), names)
    before, after = names["done"].before["test"], names["done"].after["test"]
    assert after["forget_nll"] > before["forget_nll"] and after["retain_nll"] < before["retain_nll"], (before, after)
    assert (tmp_path / "mine" / "steer.jsonl").exists()


def test_help_names_every_task_method_combiner_and_preset():
    text = Steer.__doc__ or ""
    assert all(name in text for name in (*TASKS, *COMBINERS, *PRESETS, *get_args(Method)))


def test_the_program_runs_and_both_losses_fall():
    names = {}
    exec(block("loss_pair(objectives"), names)
    losses = np.asarray(names["losses"])
    assert (losses[-1] < losses[0]).all() and names["fired"].shape == (2,)


def test_every_option_and_every_combiner_is_there():
    library = PAGE[PAGE.index("## Options"):PAGE.index("## Every key of the config")]
    cells = "\n".join(line.split("|")[1] for line in library.splitlines() if line.startswith("|"))
    named = set(re.findall(r"`(\w+)`", cells))
    assert {field.name for field in fields(SiftOptions)} | set(COMBINERS) == named
