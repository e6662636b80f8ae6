"""configs/small: the grids of `make study-small` are complete, and their task files and test rows are there."""

from collections import Counter
from pathlib import Path

import pytest

from jaxtrunc.data import load_task, read_task
from jaxtrunc.evals.curves import CONTROLS
from jaxtrunc.recipes.grid import read_grid

SMALL = Path(__file__).parent.parent.parent / "configs" / "small"
LEAST = 40  # test rows in a group that the gap uses: a standard error of at most 8 points


@pytest.mark.parametrize(("file", "tasks", "cells"), [
    ("nli", {"mnli_negation", "hans"}, 12), ("text", {"sst2_marker", "identity_toxicity"}, 12),
    ("boundary", {"permuted", "ceiling"}, 2),
])
def test_every_cell_has_its_controls(file, tasks, cells):
    _, found = read_grid(SMALL / f"{file}.yaml")
    assert len(found) == cells and {cell.task for cell in found} == tasks
    for cell in found:
        assert cell.config.lora.ranks == (4, 16) and len(cell.config.sweep.seeds) >= 5 and cell.config.sweep.match_norm
        assert {"top_k", *CONTROLS} <= {*cell.config.sweep.operators, "lora"}
        assert isinstance(cell.config.task, str)
        assert {"train", "validation", "test"} <= set(read_task(cell.directory / cell.config.task).splits)


def test_the_longer_grid_differs_in_training_and_repeats_nothing_else():
    _, found = read_grid(SMALL / "longer.yaml")
    _, usual = read_grid(SMALL / "nli.yaml")
    assert {cell.task for cell in found} == {"mnli_negation", "hans"} and len(found) == 2
    for cell in found:
        assert cell.config.sweep.operators == usual[0].config.sweep.operators and cell.config.sweep.match_norm
        assert (cell.config.train.max_steps or 0) > (usual[0].config.train.max_steps or 0)


def test_there_is_no_other_grid():
    assert {file.stem for file in SMALL.glob("*.yaml")} == {"nli", "text", "boundary", "longer"}


@pytest.mark.parametrize("file", ["nli", "text", "boundary", "longer"])
def test_no_group_of_the_gap_is_small(shared_data, file):
    """At the limit of each cell."""
    _, found = read_grid(SMALL / f"{file}.yaml")
    for path, limit in {(cell.directory / str(cell.config.task), cell.config.sweep.limit) for cell in found}:
        data = load_task(read_task(path), limit=limit)
        primary = data.task.attributes[0]
        signs = data.aligned[primary] or ()
        rows = Counter((e.label, e.attributes[primary]) for e in data.examples["test"])
        used = {(label, value): rows[label, value] for label, sign in enumerate(signs) if sign for value in (0, 1)}
        assert used and min(used.values()) >= LEAST, (path, used)
