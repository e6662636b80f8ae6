"""RUN/lora: the search for a learning rate, adapters that are made once, and what a kill or a changed setting does to them."""

import gzip
import json
import sys
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

sys.path.insert(0, str(Path(__file__).parent.parent / "study"))

from one_layer import write_base

from jaxtrunc.config import DecomposeSettings, RunConfig, from_mapping
from jaxtrunc.core.errors import InputError, RunFailed
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.core.trees import flatten, unflatten
from jaxtrunc.demo import ASSETS
from jaxtrunc.recipes import lora
from jaxtrunc.recipes.adapters import lora_facts, lora_warnings, trained_adapters
from jaxtrunc.recipes.bench import open_bench
from jaxtrunc.recipes.pair import open_side
from jaxtrunc.train import LoraSettings, TrainSettings

RATES = (1e-4, 2e-4, 5e-4)
CONFIG = RunConfig("r", "base", "task", train=TrainSettings(max_steps=4, seed=3), lora=LoraSettings((4, 2), RATES))


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Base model and benchmark."""
    shop = tmp_path_factory.mktemp("shop")
    folder = write_base(shop / "base")
    (shop / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in few_rows()))
    task = yaml.safe_load((ASSETS / "task.yaml").read_text()) | {"source": {"path": "rows.jsonl"}}
    return open_side(str(folder)), open_bench(task, shop, folder, ("train", "test"))


def few_rows() -> list[dict]:
    """Ten rows of every (split, label, marker)."""
    cells: dict[tuple, list[dict]] = {}
    with gzip.open(ASSETS / "rows.jsonl.gz", "rt") as file:
        for row in map(json.loads, file):
            cells.setdefault((row["split"], row["label"], row["marker"]), []).append(row)
    return [row for cell in cells.values() for row in cell[:10]]


class Trainer:
    """Stands in for training and validation: what comes out tells rank and rate; it may fail, or be killed, at a call."""

    def __init__(self, accuracy: dict, fails=(), killed_at=None):
        self.accuracy, self.fails, self.killed_at, self.calls = accuracy, fails, killed_at, []
        self.rows, self.settings = [], []

    def train(self, params, cfg, adapter, stream, settings, directory, **options):
        """Like `train_lora`: B holds the learning rate."""
        self.calls.append((adapter.rank, settings.learning_rate))
        self.rows.append(next(stream).ids)
        self.settings.append(settings)
        if self.killed_at == len(self.calls):
            raise KeyboardInterrupt
        if settings.learning_rate in self.fails:
            raise RunFailed("the loss is not finite")
        assert options["resume"] and options["validate"] is not None
        factors = {path: leaf + settings.learning_rate if path.endswith("lora_b") else leaf
                   for path, leaf in adapter.start(settings.seed, None).items()}
        return unflatten(flatten(params) | factors)

    def validate(self, params) -> float:
        """The accuracy of the learning rate that was trained with."""
        return self.accuracy[round(float(jnp.max(flatten(params)["layers/attn/q_proj/lora_b"])) / 2, 6)]


@pytest.fixture
def trainer(monkeypatch):
    """Put a `Trainer` in the place of training."""
    def install(*numbers, **options) -> Trainer:
        made = Trainer(dict(zip(RATES, numbers, strict=True)), **options)
        monkeypatch.setattr(lora, "train_lora", made.train)
        monkeypatch.setattr(lora, "validation_accuracy", lambda bench, side, mesh: made.validate)
        return made

    return install


@pytest.fixture
def run(opened, tmp_path):
    """Make RUN/lora in a directory of this test."""
    def make(config=CONFIG, resume=False) -> RunDir:
        directory = RunDir(tmp_path / "run")
        lora.lora_on(*opened, directory, config, resume=resume)
        return directory

    return make


def with_lora(**changes) -> RunConfig:
    return replace(CONFIG, lora=replace(CONFIG.lora, **changes))


def test_the_best_rate_serves_all_ranks(trainer, run, opened):
    made = trainer(0.5, 0.8, 0.7)
    directory = run()
    # the search at the first of the ranks, then one adapter each: that of the search is read again, not trained again
    assert made.calls == [(4, 1e-4), (4, 2e-4), (4, 5e-4), (4, 2e-4), (2, 2e-4)]
    assert len(set(made.rows)) == 1 and made.rows[0] == next(opened[1].stream(CONFIG.train)).ids
    assert {replace(settings, learning_rate=CONFIG.train.learning_rate) for settings in made.settings} == {CONFIG.train}
    facts = json.loads((directory / "lora/rates.json").read_text())
    assert (facts["learning_rate"], facts["given"], facts["rank"], facts["split"]) == (2e-4, False, 4, "validation")
    assert [(entry["learning_rate"], entry["accuracy"]) for entry in facts["searched"]] == [(1e-4, 0.5), (2e-4, 0.8), (5e-4, 0.7)]
    assert list(trained_adapters(directory)) == [2, 4] and lora_facts(directory) == facts | {"ranks": [2, 4]}
    for rank in (2, 4):
        tensors = load_file(directory / f"lora/r{rank}/adapter_model.safetensors")
        config = json.loads((directory / f"lora/r{rank}/adapter_config.json").read_text())
        assert (config["r"], config["lora_alpha"]) == (rank, 2 * rank) and len(tensors) == 14
        assert all(np.allclose(tensor, 2e-4) for name, tensor in tensors.items() if "lora_B" in name)
    sealed = {name for name in directory.manifest["files"] if name.startswith("lora/")}
    assert sealed == {"lora/rates.json"} | {f"lora/r{rank}/{file}" for rank in (2, 4) for file in
                                           ("README.md", "adapter_config.json", "adapter_model.safetensors")}


@pytest.mark.parametrize(("numbers", "best", "warned"), [((0.7, 0.7, 0.6), 1e-4, "smallest"), ((0.5, 0.6, 0.6), 2e-4, ""),
                                                         ((0.1, 0.2, 0.3), 5e-4, "largest")])
def test_ties_and_ends_of_the_list(trainer, run, numbers, best, warned):
    trainer(*numbers)
    facts = lora_facts(run(with_lora(ranks=(2,))))
    assert facts is not None and facts["learning_rate"] == best
    assert [warned in line for line in lora_warnings(facts)] == ([True] if warned else [])


def test_a_given_rate_is_not_searched_for(trainer, run):
    made = trainer(0, 0, 0)
    facts = lora_facts(run(with_lora(learning_rate=5e-4)))
    assert made.calls == [(4, 5e-4), (2, 5e-4)] and facts is not None
    assert (facts["learning_rate"], facts["given"], facts["searched"]) == (5e-4, True, [])
    assert lora_warnings(facts) == []


def test_a_rate_that_fails_is_left_out(trainer, run):
    trainer(0.5, 0.6, 0.9, fails=(5e-4,))
    facts = lora_facts(run())
    assert facts is not None and facts["learning_rate"] == 2e-4 and facts["searched"][2]["accuracy"] is None
    assert "not finite" in lora_warnings(facts)[0]


def test_if_all_rates_fail_it_says_so(trainer, run):
    trainer(0, 0, 0, fails=RATES)
    with pytest.raises(RunFailed, match=r"no learning rate of lora\.learning_rates trains"):
        run()


@pytest.mark.parametrize("moment", [1, 3, 4, 5])
def test_what_was_done_before_a_kill_is_kept(trainer, run, tmp_path, moment):
    killed = trainer(0.5, 0.8, 0.7, killed_at=moment)
    with pytest.raises(KeyboardInterrupt):
        run()
    searched = tmp_path / "run/lora/training/searched.jsonl"
    if moment == 3:  # killed in writing a line, too
        searched.write_text(searched.read_text() + '{"learning_rate": 5e-')
    again = trainer(0.5, 0.8, 0.7)
    directory = run(resume=True)
    assert killed.calls[:-1] + again.calls == [(4, 1e-4), (4, 2e-4), (4, 5e-4), (4, 2e-4), (2, 2e-4)]
    assert list(trained_adapters(directory)) == [2, 4] and json.loads((directory / "lora/rates.json").read_text())["rank"] == 4
    third = trainer(0, 0, 0)
    run(resume=True)
    assert third.calls == []


def test_a_new_rank_is_added_and_a_damaged_one_made_again(trainer, run):
    trainer(0.5, 0.8, 0.7)
    directory = run()
    weights = directory / "lora/r4/adapter_model.safetensors"
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-1] + b"x")
    with pytest.raises(InputError, match="jaxtrunc run"):
        trained_adapters(directory)
    made = trainer(0, 0, 0)
    run(with_lora(ranks=(4, 2, 8)), resume=True)
    assert made.calls == [(4, 2e-4), (8, 2e-4)] and weights.read_bytes() == sound
    assert list(trained_adapters(directory)) == [2, 4, 8]


def test_other_settings_are_refused(trainer, run):
    trainer(0.5, 0.8, 0.7)
    run()
    with pytest.raises(InputError, match="already holds lora"):
        run()
    for config, word in ((with_lora(learning_rates=(1e-3,)), "another search"), (with_lora(ranks=(2, 4)), "another search"),
                         (with_lora(learning_rate=1e-3), "another search"),
                         (replace(CONFIG, train=TrainSettings()), "another train"),
                         (replace(CONFIG, decompose=DecomposeSettings(exclude=("q_proj",))), "another exclude")):
        with pytest.raises(InputError, match=word):
            run(config, resume=True)


def test_input_that_cannot_be_is_refused_before_anything_is_trained(trainer, opened, run):
    trainer(0, 0, 0)
    side, bench = opened
    embedding = replace(CONFIG, decompose=DecomposeSettings(include=("embed_tokens", "q_proj")))
    with pytest.raises(InputError, match=r"model\.embed_tokens\.weight"):
        lora.check_lora(side, bench, embedding)
    given = with_lora(learning_rate=1e-4)
    for split, word, config in (("validation", "lora.learning_rate", CONFIG), ("train", "'train' split", given)):
        without = {name: value for name, value in bench.task.splits.items() if name != split}
        with pytest.raises(InputError, match=word):
            lora.check_lora(side, replace(bench, task=replace(bench.task, splits=without)), config)
    assert not (run(with_lora(ranks=())) / "lora").exists()


@pytest.mark.parametrize(("values", "words"), [
    ({"ranks": [0]}, "ranks must be at least 1, found 0"), ({"ranks": [4, 4]}, "each must be there once"),
    ({"ranks": [4], "learning_rates": []}, "expected at least one"), ({"learning_rates": [0.0]}, "above 0"),
    ({"learning_rate": -1.0}, "above 0"), ({"ranks": [4], "search_rank": 2}, r"one of ranks, \[4\], found 2"),
    ({"rank": [4]}, "'ranks'"), ({"ranks": 4}, "expected a list")])
def test_settings_that_make_no_sense(values, words):
    with pytest.raises(InputError, match=words):
        from_mapping(RunConfig, {"name": "n", "base_model": "b", "task": "t", "lora": values}, "run.yaml")


def test_the_rank_of_the_search():
    assert LoraSettings((4, 16)).rank_of_search == 4 and LoraSettings((4, 16), search_rank=16).rank_of_search == 16
