"""docs/lens.md: its Python blocks run in order on the embedded model, and print what the text says of them."""

import contextlib
import dataclasses
import io
import re
import shutil
from pathlib import Path

import pytest

from jaxtrunc.demo import ASSETS
from jaxtrunc.verbs.look import Lens

PAGE = (Path(__file__).parents[2] / "docs" / "lens.md").read_text()


@pytest.fixture
def printed(tmp_path, monkeypatch) -> str:
    shutil.copytree(ASSETS / "model", tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    heard, names = io.StringIO(), {"__name__": "notebook"}
    with contextlib.redirect_stdout(heard):
        for block in re.findall(r"```python\n(.*?)```", PAGE, re.S):
            exec(compile(block, "lens.md", "exec"), names)
    return heard.getvalue()


def test_the_blocks_find_what_they_plant(printed):
    """The group is a pole and a list of candidates, its rows are concentrated, and it is gone where it was overwritten."""
    head, pole, spread, glitch, fate = printed.splitlines()
    assert re.fullmatch(r"(model\.embed_tokens|lm_head)\.weight (True|False)", head)
    assert pole.startswith("True VCS 0.9") and glitch == "True" and fate == "dissolved"
    group, others = map(float, re.findall(r"\d\.\d+", spread))
    assert group < 0.75 * others


def test_every_flag_of_the_verb_is_on_the_page():
    usual = {"quiet", "verbose", "debug", "model", "out_path", "compare"}
    flags = {field.name for field in dataclasses.fields(Lens)} - usual
    named = {flag.replace("-", "_") for flag in re.findall(r"`--([\w-]+)", PAGE)}
    assert flags <= named, flags - named
