"""Where and when two objectives conflict, where that is known."""

import jax.numpy as jnp
import numpy as np
import pytest
from pairs import gaussian

from jaxtrunc.core.errors import InputError
from jaxtrunc.steer import profile_conflicts, sift

TARGET = gaussian(2, 8, 6)


def loss_f(params, batch):
    return batch * (jnp.sum((params["a"] - TARGET) ** 2) + jnp.sum((params["b"] - TARGET[0]) ** 2))


def loss_g(params, batch):
    """Matrix a[0] is wanted elsewhere."""
    other = np.stack([-3 * TARGET[0], TARGET[1]])
    return batch * (jnp.sum((params["a"] - other) ** 2) + jnp.sum((params["b"] - TARGET[0]) ** 2))


def test_the_matrix_that_conflicts_is_found_and_goes_into_sift(tmp_path):
    params = {"a": jnp.zeros((2, 8, 6)), "b": jnp.zeros((8, 6))}
    found = profile_conflicts(loss_f, loss_g, params, [1.0] * 4, 4, learning_rate=1e-2)
    assert found.names == ["a[0]", "a[1]", "b[0]"] and found.cos.shape == (4, 3)
    assert (found.cos[:, 0] < 0).all() and (found.cos[:, 1:] > 0.9).all()
    assert {path: mask.tolist() for path, mask in found.where.items()} == {"a": [True, False], "b": [False]}
    assert found.when.steps == (0, 1, 2, 3) and not params["a"].any()
    found.save(tmp_path / "conflicts.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "conflicts.npz")["cos"], found.cos)
    assert [file.name for file in tmp_path.iterdir()] == ["conflicts.npz"]
    sift(0.1, rank=2, where=found.where, when=found.when).init(params)
    with pytest.raises(InputError, match="at least 1, found 0"):
        profile_conflicts(loss_f, loss_g, params, [1.0] * 4, 0)
    with pytest.raises(InputError, match="expected 9 batches, found 4"):
        profile_conflicts(loss_f, loss_g, params, [1.0] * 4, 9)
    with pytest.raises(InputError, match="no matrix"):
        profile_conflicts(loss_f, loss_f, params, [1.0], 1)
