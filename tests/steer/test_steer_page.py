"""docs/steer.md: its program runs, and its table has every option."""

import re
from dataclasses import fields
from pathlib import Path

import numpy as np

from jaxtrunc.steer import COMBINERS, SiftOptions

PAGE = (Path(__file__).parents[2] / "docs" / "steer.md").read_text()


def test_the_program_runs_and_both_losses_fall():
    names = {}
    exec(re.search(r"```python\n(.*?)```", PAGE, re.S).group(1), names)
    losses = np.asarray(names["losses"])
    assert (losses[-1] < losses[0]).all() and names["fired"].shape == (2,)


def test_every_option_and_every_combiner_is_there():
    library = PAGE[PAGE.index("## Options"):PAGE.index("## Every key of the config")]
    cells = "\n".join(line.split("|")[1] for line in library.splitlines() if line.startswith("|"))
    named = set(re.findall(r"`(\w+)`", cells))
    assert {field.name for field in fields(SiftOptions)} | set(COMBINERS) == named
