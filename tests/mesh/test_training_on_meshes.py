"""Fine-tuning on eight devices is fine-tuning on one, whatever the mesh."""

import shutil

import jax
import numpy as np
import pytest
from runs import UNEVEN, losses, train
from tiny import CONFIG

from jaxtrunc.core.mesh import compute_mesh
from jaxtrunc.core.trees import flatten

# Sums over devices are taken in another order than on one: the rounding of float32, grown over six steps.
CLOSE = 2e-5


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    """(scope, accumulation, cfg) → loss curve of one device."""
    known = {}

    def curve(scope, accumulation, cfg=CONFIG):
        if (scope, accumulation, cfg) not in known:
            directory = tmp_path_factory.mktemp("one")
            train(directory, cfg=cfg, scope=scope, accumulation=accumulation)
            known[scope, accumulation, cfg] = losses(directory)
        return known[scope, accumulation, cfg]

    return curve


@pytest.mark.parametrize(("shape", "scope", "accumulation"), [
    pytest.param((8, 1, 1), "linear", 1, marks=pytest.mark.slow), pytest.param((1, 8, 1), "all", 1, marks=pytest.mark.slow),
    ((2, 2, 2), "all", 2),
    pytest.param((1, 1, 8), "linear", 2, marks=pytest.mark.slow), pytest.param((4, 1, 2), "all", 1, marks=pytest.mark.slow)])
def test_the_loss_curve_is_that_of_one_device(one_device, tmp_path, shape, scope, accumulation):
    train(tmp_path, compute_mesh(*shape), scope=scope, accumulation=accumulation)
    np.testing.assert_allclose(losses(tmp_path), one_device(scope, accumulation), rtol=CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 2, 4), (1, 4, 2)])
def test_sizes_that_do_not_divide_the_mesh(one_device, tmp_path, shape):
    tuned = flatten(train(tmp_path, compute_mesh(*shape), cfg=UNEVEN, scope="all"))
    np.testing.assert_allclose(losses(tmp_path), one_device("all", 1, UNEVEN), rtol=CLOSE)
    head = tuned["lm_head/kernel"]
    assert head.shape == (24, 30) and head.sharding.shard_shape(head.shape)[0] == 24 // shape[1]


def test_a_checkpoint_of_eight_devices_goes_on_with_two_and_with_one(one_device, tmp_path):
    train(tmp_path / "eight", compute_mesh(2, 2, 2), max_steps=6, schedule="constant", epochs=1)
    whole = losses(tmp_path / "eight")
    for name, mesh in (("two", _mesh_of_two()), ("one", None)):
        _half(tmp_path / "eight", tmp_path / name)
        train(tmp_path / name, mesh, max_steps=6, schedule="constant", resume=True)
        curve = losses(tmp_path / name)
        assert curve[:3] == whole[:3]
        np.testing.assert_allclose(curve, whole, rtol=CLOSE)


def _mesh_of_two():
    devices = np.array(jax.devices()[:2]).reshape(1, 2, 1)
    return jax.sharding.Mesh(devices, ("data", "fsdp", "tensor"), axis_types=(jax.sharding.AxisType.Auto,) * 3)


def _half(run, copy):
    """The run as it was after its first checkpoint."""
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "checkpoints" / "6")
