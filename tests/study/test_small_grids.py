"""configs/small: the grids of `make study-small` are complete, and their task files are there."""

from pathlib import Path

import pytest

from jaxtrunc.data import read_task
from jaxtrunc.recipes.grid import read_grid

SMALL = Path(__file__).parent.parent.parent / "configs" / "small"


@pytest.mark.parametrize(("file", "tasks", "cells"), [
    ("nli", {"mnli_negation", "hans"}, 12), ("text", {"sst2_marker", "identity_toxicity"}, 12),
    ("boundary", {"permuted", "ceiling"}, 2),
])
def test_every_cell_has_its_controls(file, tasks, cells):
    _, found = read_grid(SMALL / f"{file}.yaml")
    assert len(found) == cells and {cell.task for cell in found} == tasks
    for cell in found:
        assert cell.config.lora.ranks == (4, 16) and len(cell.config.sweep.seeds) >= 5 and cell.config.sweep.match_norm
        assert isinstance(cell.config.task, str)
        assert {"train", "validation", "test"} <= set(read_task(cell.directory / cell.config.task).splits)
