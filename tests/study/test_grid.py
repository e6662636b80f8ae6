"""What a grid file means, and what it is refused for."""

import pytest
import yaml

from jaxtrunc.core.errors import InputError
from jaxtrunc.recipes.grid import read_grid

GRID = {"name": "g", "base_models": {"small": "models/small", "large": "org/large"}, "tasks": {"a": "a.yaml", "b": {"name": "b"}},
        "seeds": [0, 3], "train": {"epochs": 2, "learning_rate": 1e-3}, "sweep": {"ranks": [1, 2]}}


@pytest.fixture
def cells(tmp_path):
    """Cells by name of GRID with changes."""
    def read(*assignments, **changes):
        file = tmp_path / "grid.yaml"
        file.write_text(yaml.safe_dump(GRID | changes, sort_keys=False))
        return {cell.name: cell for cell in read_grid(file, assignments)[1]}

    return read


def test_every_combination_is_a_cell_and_seeds_are_neighbours(cells):
    found = cells()
    assert list(found) == ["small-a-s0", "small-a-s3", "small-b-s0", "small-b-s3",
                           "large-a-s0", "large-a-s3", "large-b-s0", "large-b-s3"]
    config = found["large-b-s3"].config
    assert (config.base_model, config.task, config.train.seed, config.train.epochs) == ("org/large", {"name": "b"}, 3, 2)
    assert config.sweep.ranks == (1, 2) and config.name == "large-b-s3"


def test_overrides_change_single_keys_in_their_order(cells):
    found = cells(overrides={"large-*": {"train": {"learning_rate": 1e-4}, "mesh": {"fsdp": 8}},
                             "large-b-*": {"train": {"learning_rate": 1e-5}}})
    rates = {name: cell.config.train.learning_rate for name, cell in found.items()}
    assert rates["small-b-s0"] == 1e-3 and rates["large-a-s3"] == 1e-4 and rates["large-b-s0"] == 1e-5
    assert found["large-b-s0"].config.train.epochs == 2 and found["large-b-s0"].config.mesh.fsdp == 8


def test_the_command_line_has_the_last_word(cells):
    found = cells("train.learning_rate=0.5", "seeds=[7]", "base_models.small=elsewhere",
                  overrides={"large-*": {"train": {"learning_rate": 1e-4}}})
    assert list(found) == ["small-a-s7", "small-b-s7", "large-a-s7", "large-b-s7"]
    assert {cell.config.train.learning_rate for cell in found.values()} == {0.5}
    assert found["small-a-s7"].config.base_model == "elsewhere"


def test_patterns_are_skipped(cells):
    assert list(cells(skip=["large-*", "*-s3"])) == ["small-a-s0", "small-b-s0"]


def test_a_run_config_is_a_grid_of_one_cell(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("name: mine\nbase_model: org/model-1@main\nmodel: tuned/\ntask: tasks/some.yaml\ntrain: {seed: 4, epochs: 2}\n")
    name, (cell,) = read_grid(file)
    assert (name, cell.name, cell.config.model, cell.config.train.epochs) == ("mine", "model-1-some-s4", "tuned/", 2)


@pytest.mark.parametrize(("changes", "words"), [
    ({"basemodels": {}}, ("basemodels", "base_models")),
    ({"train": {"epoch": 2}}, ("small-a-s0", "epoch", "epochs")),
    ({"train": {"seed": 2}}, ("seed", "seeds")),
    ({"sweep": {"ranks": "all"}}, ("ranks", "a list", "'all'")),
    ({"seeds": [0, 0]}, ("seeds", "once")),
    ({"seeds": []}, ("no cell",)),
    ({"base_models": {"a/b": "x"}}, ("base_models", "a/b")),
    ({"base_models": {"small": 3}}, ("base_model", "text", "3")),
    ({"skip": ["huge-*"]}, ("huge-*", "no cell")),
    ({"overrides": {"large-*": {"trains": {}}}}, ("trains", "train")),
    ({"overrides": {"large-*": 3}}, ("large-*", "3")),
    ({"overrides": {"*-s3": {"train": {"epochs": 9}}}}, ("small-a-s3", "more than its seed")),
    ({"lora": {"ranks": [0]}}, ("ranks", "at least 1")),
])
def test_what_is_refused(cells, changes, words):
    with pytest.raises(InputError) as refusal:
        cells(**changes)
    assert all(word in str(refusal.value) for word in words), str(refusal.value)
