"""configs/paper: the twelve cells and the boundary case parse, name known benchmarks and fit what their comments say."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from plan_memory import HALF_B, SEVEN_B, write_headers

from jaxtrunc.data.find import find_task
from jaxtrunc.recipes.grid import read_grid
from jaxtrunc.recipes.sweep import check_settings

FOLDER = Path(__file__).parents[2] / "configs" / "paper"
FILES = sorted(FOLDER.glob("*.yaml"))
# Qwen2.5-1.5B-Instruct as published.
ONE_AND_A_HALF_B = HALF_B | {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12}
SHAPES = {"qwen-500m": HALF_B, "qwen-1500m": ONE_AND_A_HALF_B, "qwen-7b": SEVEN_B}



@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Path]:
    """Directories with config.json and headers in the place of downloads."""
    folder = tmp_path_factory.mktemp("hub")
    return {name: write_headers(folder / name, config, 2) for name, config in SHAPES.items()}


def test_there_are_twelve_cells_and_two_boundary_cases():
    cells = [cell for file in FILES for cell in read_grid(file)[1]]
    groups = {(cell.base, cell.task) for cell in cells}
    tasks = {"civil_comments", "mnli_negation", "hans", "paws_qqp"}
    assert groups == {(base, task) for base in SHAPES for task in tasks} | {
        ("qwen-500m", "boundary_permuted"), ("qwen-500m", "boundary_ceiling")}
    assert {cell.seed for cell in cells} == {0, 1, 2} and len(cells) == 3 * len(groups)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_cell_has_its_controls_and_a_task_that_is_known(file):
    for cell in read_grid(file)[1]:
        check_settings(cell.config.sweep)
        task = find_task(cell.config.task, cell.directory)
        assert "train" in task.splits and "validation" in task.splits and "test" in task.splits
        assert {"top_k", "bottom_k", "drop_top_k", "random_k", "interpolate"} <= set(cell.config.sweep.operators)
        assert cell.config.sweep.match_norm
        assert task.boundary is not None or cell.config.lora.ranks == (4, 16, 64)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_plan_in_the_comment_is_what_plan_says(file, models, program):
    text = file.read_text()
    flags = re.search(r"jaxtrunc plan \S+ (.*)", text)
    assert flags
    base = read_grid(file)[1][0].base
    code, said, errors = program("plan", file, f"base_models.{base}={models[base]}", *flags[1].split())
    assert code == 0, errors
    rows = [re.split(r"\s*│\s*", line.strip("│ ")) for line in said.splitlines() if line.startswith("│")]
    assert rows and all("  ".join(row).split() in [line[1:].split() for line in text.splitlines()] for row in rows), said


def test_a_plan_that_does_not_fit_names_the_cell(models, program):
    flags = ("--device-memory", "4GiB", "--host-memory", "1TiB", "--tflops", "100")
    code, said, errors = program("plan", FOLDER / "qwen-500m.yaml", f"base_models.qwen-500m={models['qwen-500m']}", *flags)
    assert code == 1 and "qwen-500m-hans" in errors and "4.00 GiB" in errors and "qwen-500m-hans" in said


def test_time_is_work_by_speed(grid, program, workshop):
    """One step of 8 prompts, and levels of 2 × 10 prompts: counted by hand from the shapes of the one-layer base."""
    file = grid("timed", train={"max_steps": 1, "batch_size": 8}, mesh={"data": 1},
                sweep={"ranks": [0, 2], "operators": ["top_k", "interpolate"], "alphas": [0.5], "limit": 10})
    from jaxtrunc.recipes.plan import Where
    from jaxtrunc.recipes.plan_grid import planned_grid

    (row,) = planned_grid(file, (), Where("data=1", "80GiB", "64GiB"), 50)
    body = 2 * (96 * 96 + 2 * 96 * 48 + 96 * 96 + 3 * 96 * 256)  # q, k and v, o, MLP
    head = 2 * 895 * 96
    assert row.effort.finetuning == 3 * 8 * (50 * body + 2 * head)
    levels = 2 + 2 + 1 + 1  # ends; top_k at 0 and 2; interpolation at one α, and norm-matched at k = 2
    assert row.effort.sweep == levels * 20 * (50 * body + head)
    assert row.effort.adapters == 0


def test_flags_of_a_run_are_refused_for_a_grid(grid, program, workshop):
    code, _, said = program("plan", grid("flags"), "--include", "mlp", "--device-memory", "80GiB")
    assert code == 2 and "is a grid" in said
    code, _, said = program("plan", "--base-model", workshop / "small", "--tflops", "3", "--device-memory", "80GiB")
    assert code == 2 and "--tflops" in said
