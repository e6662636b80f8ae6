"""What must not grow, whatever the machine: compilations, bytes read, arrays alive. Never seconds.

The arithmetic of the compiled programs is bounded in tests/evals/test_work.py and tests/train/test_utilisation.py.
"""

import gc
import math
import shutil
import tracemalloc

import jax
import pytest

from jaxtrunc.core.safetensors import Checkpoint
from jaxtrunc.evals import Scorer
from jaxtrunc.models import leaf_class, open_model

SPLITS = 2  # validation and test are scored at each level
SMALL = 2**20  # bytes: token batches, prefix, scores


@pytest.fixture
def fresh(study, tmp_path):
    """A run with a decomposition and no records."""
    shutil.copytree(study, tmp_path / "run", ignore=shutil.ignore_patterns("records.jsonl", "results.json", "samples"))
    return tmp_path / "run"


@pytest.fixture
def after_each_score(monkeypatch):
    """Call something when a split was scored, while its weights are still there; returns what it gave."""
    def watch(look):
        found, original = [], Scorer.score

        def score(self, params, rows):
            scores = original(self, params, rows)
            found.append(look())
            return scores

        monkeypatch.setattr(Scorer, "score", score)
        return found

    return watch


def elements(pair, cut: bool) -> int:
    """Of the matrices that are cut, or of all else."""
    source = open_model(pair.base)
    sizes = {path: math.prod(leaf.shape) for path, leaf in source.leaves().items()}
    return sum(size for path, size in sizes.items() if (leaf_class(source.cfg, path) == "linear") == cut)


def test_a_sweep_compiles_nothing_after_its_first_level(pair, fresh, jaxtrunc, after_each_score, caplog):
    def compiled():
        return sum("Finished XLA compilation" in record.getMessage() for record in caplog.records)

    with jax.log_compiles(), caplog.at_level("WARNING", logger="jax"):
        counts = after_each_score(compiled)
        code, said = jaxtrunc("sweep", fresh, "--task", pair.task, "--ranks", "1,16", "--seeds", "0", "--alphas", "0.5",
                               "--operators", "top_k,random_k,interpolate")
    assert code == 0, said
    assert len(counts) > 7 * SPLITS and counts[SPLITS - 1] > 0, "the log of compilations has other words"
    assert counts[-1] == counts[SPLITS - 1]


@pytest.mark.slow
def test_one_level_of_weights_is_on_the_devices(pair, fresh, jaxtrunc, after_each_score):
    """Bound: all tensors of one model in float32, and once more those that are not cut, which all levels share."""
    def alive():
        gc.collect()
        return sum(array.nbytes for array in jax.live_arrays())

    before, alive_then = alive(), after_each_score(alive)
    code, said = jaxtrunc("sweep", fresh, "--task", pair.task, "--ranks", "1,16", "--operators", "top_k,flatten_k")
    assert code == 0, said
    cut, uncut = elements(pair, cut=True), elements(pair, cut=False)
    assert 4 * (cut + uncut) <= max(alive_then) - before <= 4 * (cut + 2 * uncut) + SMALL


def test_four_arrays_of_the_size_of_the_update_make_all_levels(pair, fresh, jaxtrunc, after_each_score):
    """Bound on the host: the leaves handed out, W_base by rows, the running sum, the long-side factor; and the float64 bases."""
    def held():
        taken = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/jaxtrunc/spectral/*")])
        return sum(entry.size for entry in taken.statistics("filename"))

    tracemalloc.start()
    try:
        sizes = after_each_score(held)
        code, said = jaxtrunc("sweep", fresh, "--task", pair.task, "--ranks", "1,2,16", "--operators", "top_k")
    finally:
        tracemalloc.stop()
    assert code == 0, said
    cut = elements(pair, cut=True)
    assert 4 * cut < max(sizes) <= 4 * 4 * cut + 2 * 8 * bases(pair) + SMALL
    assert max(sizes[len(sizes) // 2:]) <= max(sizes[:len(sizes) // 2]) + SMALL, "it grows with the levels"


def bases(pair) -> int:
    """Entries of all short-side bases."""
    source = open_model(pair.base)
    return sum(len(leaf) * min(leaf.shape[-2:]) ** 2 for path, leaf in source.leaves().items()
               if leaf_class(source.cfg, path) == "linear")


def test_a_decomposition_reads_each_matrix_twice(pair, jaxtrunc, tmp_path, monkeypatch):
    """Bound: once to decompose it and once to describe its spectrum, in both checkpoints; nothing else of them."""
    read, original = [], Checkpoint.read

    def counted(self, name, rows=None):
        found = original(self, name, rows)
        read.append(found.nbytes)
        return found

    monkeypatch.setattr(Checkpoint, "read", counted)
    code, said = jaxtrunc("decompose", "--base-model", pair.base, "--model", pair.ft, "--out-path", tmp_path / "run")
    assert code == 0, said
    stored = 2 * 4 * elements(pair, cut=True)
    assert stored <= sum(read) <= 2 * stored
