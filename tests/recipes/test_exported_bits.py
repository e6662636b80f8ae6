"""An exported Hugging Face directory holds, bit for bit, the weights that a sweep evaluates."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from jaxtrunc.core.rundir import open_run
from jaxtrunc.models import to_hf
from jaxtrunc.recipes.decompose import stored_decomposition
from jaxtrunc.recipes.levels import LevelWeights
from jaxtrunc.recipes.pair import recall_pair
from jaxtrunc.spectral import Level, plan_levels


@pytest.fixture(scope="module")
def run(pair, tmp_path_factory):
    from jaxtrunc.cli import main

    run = tmp_path_factory.mktemp("exported") / "run"
    main(["decompose", "--base-model", str(pair.base), "--model", str(pair.ft), "--out-path", str(run), "-q"])
    return run


def opened(run):
    opened = open_run(run, "decomposition", "decompose")
    found = recall_pair(opened)
    decomposition = stored_decomposition(opened, found)
    return found, decomposition, LevelWeights(found, decomposition, "ft", None)


@pytest.fixture(scope="module")
def swept(run) -> dict[Level, dict[str, np.ndarray]]:
    """Copies of the tensors of every level, in the order of a sweep: each starts from what the one before left."""
    found, decomposition, weights = opened(run)
    levels = plan_levels(decomposition, ["top_k", "random_k"], [1, 7, 16, 40], seeds=(0, 1), match_norm=True)
    return {level: {name: np.array(tensor) for name, tensor in to_hf(found.cfg, weights.at(level).params)} for level in levels}


@pytest.mark.parametrize("operator, seed, norm_matched", [("top_k", None, False), ("random_k", 1, False), ("random_k", 0, True)])
@pytest.mark.parametrize("k", [7, 40])
def test_an_export_has_the_bits_that_were_evaluated(swept, run, pair, jaxtrunc, tmp_path, operator, seed, norm_matched, k):
    flags = ([] if seed is None else ["--seed", seed]) + (["--match-norm"] if norm_matched else [])
    code, said = jaxtrunc("export", run, "--operator", operator, "--rank", k, *flags, "--format", "hf", "--dtype", "float32",
                          "--out-path", tmp_path / "out")
    assert code == 0, said
    exported = load_file(tmp_path / "out" / "model.safetensors")
    evaluated = swept[Level(operator, k=k, seed=seed, norm_matched=norm_matched)]
    assert exported.keys() == evaluated.keys()
    for name, tensor in exported.items():
        assert tensor.dtype == np.float32 and tensor.tobytes() == evaluated[name].tobytes(), name
    ft = load_file(pair.ft / "model.safetensors")
    assert sum(not np.array_equal(exported[name], ft[name]) for name in ft) == sum("proj.weight" in name for name in ft) == 28


def test_a_level_takes_the_place_of_the_one_before(run):
    """Its arrays share the memory that the next is written into: whoever still reads them is told."""
    *_, weights = opened(run)
    first, second = (weights.at(Level("top_k", k=k)).params["layers"]["mlp"]["up_proj"]["kernel"] for k in (3, 7))
    with pytest.raises(RuntimeError, match="deleted"):
        first.sum()
    assert np.isfinite(second).all()
