"""Steering over eight devices is steering on one."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from small_task import small_task

from jaxtrunc.core.mesh import compute_mesh
from jaxtrunc.core.trees import flatten
from jaxtrunc.recipes.steer.config import SteerConfig
from jaxtrunc.recipes.steer.settings import SteerTraining
from jaxtrunc.recipes.steer.train import steer_job, steer_run

TRAIN = SteerTraining(scope="all", learning_rate=1e-3, max_steps=3, epochs=9, batch_size=8, clip=1.0)
CONFIG = SteerConfig("small", sift={"rank": 0.25, "threshold": None}, train=TRAIN)
CONFIG_FILE = {"task": {"name": "small"}, "sift": {"rank": 0.25}, "train": {"batch_size": 8, "max_steps": 1, "epochs": 9}}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Log and weights of one device."""
    place = tmp_path_factory.mktemp("alone")
    return steered(place, None)


def steered(place, mesh, config=CONFIG):
    done = steer_run(small_task(), config, place, resume=False, mesh=mesh)
    lines = [json.loads(line) for line in (place / "steer.jsonl").read_text().splitlines()]
    return lines, {path: np.asarray(leaf) for path, leaf in flatten(done.params).items()}


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(2, 2, 2), (8, 1, 1), (1, 4, 2)])
def test_a_run_over_a_mesh_is_that_of_one_device(alone, tmp_path, shape):
    lines, weights = steered(tmp_path, compute_mesh(*shape))
    for name in ("primary", "constraint", "cos_mean", "rank_used", "align_f"):
        np.testing.assert_allclose([line[name] for line in lines], [line[name] for line in alone[0]], rtol=1e-4, atol=1e-6)
    assert [line["fired"] for line in lines] == [line["fired"] for line in alone[0]]
    for path, leaf in alone[1].items():
        np.testing.assert_allclose(weights[path], leaf, atol=1e-5, err_msg=path)


def test_weights_and_momenta_are_divided(tmp_path):
    job = steer_job(small_task(), CONFIG, tmp_path, compute_mesh(1, 4, 2))
    whole = [leaf for leaf in jax.tree.leaves(job.state) if leaf.ndim == 3]
    assert len(whole) >= 3 * 7  # masters and two momenta of seven kernels
    assert {leaf.size // leaf.addressable_shards[0].data.size for leaf in whole} == {8}


@pytest.mark.slow
def test_a_mesh_from_the_config(steer, tmp_path):
    code, said = steer(CONFIG_FILE | {"mesh": {"data": 2, "fsdp": 2, "tensor": 2}})
    assert code == 0, said
    assert json.loads((tmp_path / "run" / "steer.json").read_text())["config"]["mesh"] == {"data": 2, "fsdp": 2, "tensor": 2}


@pytest.mark.parametrize(("change", "named"), [({"mesh": {"data": 3}}, "number of devices"), ({"mesh": {"rows": 3}}, "rows")])
def test_a_mesh_that_is_none(steer, change, named):
    code, said = steer(CONFIG_FILE | change)
    assert code == 2 and named in said


def test_rows_that_the_mesh_does_not_divide(tmp_path):
    odd = dataclasses.replace(CONFIG, train=dataclasses.replace(TRAIN, batch_size=4))
    with pytest.raises(Exception, match="batch_size 4 is not a multiple of 8"):
        steer_run(small_task(), odd, tmp_path, resume=False, mesh=compute_mesh(8, 1, 1))
