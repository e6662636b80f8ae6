"""A checkpoint that was changed on disk is noticed, whichever of its bytes it was."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jaxtrunc.core.checkpoints import CheckpointStore
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.fingerprint import fingerprint


def arrays():
    return {"w": jnp.arange(24.0).reshape(2, 3, 4), "count": jnp.int32(7), "half": jnp.ones(5, jnp.bfloat16)}


@pytest.mark.parametrize("change", [
    lambda tree: tree | {"w": tree["w"].at[1, 2, 3].add(1e-5)},
    lambda tree: tree | {"w": tree["w"].at[0, 0, 0].set(-0.0)},
    lambda tree: tree | {"w": tree["w"][::-1]},
    lambda tree: tree | {"w": tree["w"].swapaxes(0, 1).reshape(2, 3, 4)},
    lambda tree: tree | {"count": jnp.int32(8)},
    lambda tree: tree | {"half": tree["half"].at[4].set(1.0078125)},
])
def test_every_change_changes_the_fingerprint(change):
    assert fingerprint(arrays()) == fingerprint(arrays()) != fingerprint(change(arrays()))


def test_the_layout_does_not_matter():
    mesh = jax.make_mesh((2, 2), ("a", "b"), devices=jax.devices()[:4], axis_types=(jax.sharding.AxisType.Auto,) * 2)
    laid_out = arrays() | {"w": jax.device_put(arrays()["w"], NamedSharding(mesh, P("a", None, "b")))}
    assert fingerprint(laid_out) == fingerprint(arrays())


def test_a_changed_byte_is_noticed(tmp_path):
    state = {"w": jax.random.normal(jax.random.key(0), (64, 64))}
    with CheckpointStore(tmp_path / "checkpoints") as store:
        store.save(3, state, {"position": 3})
        assert np.array_equal(store.load(3, state)["w"], state["w"])
    data = max((tmp_path / "checkpoints" / "3").rglob("*"), key=lambda file: file.stat().st_size if file.is_file() else 0)
    before = data.read_bytes()
    for place in (len(before) // 4, len(before) // 2, 3 * len(before) // 4):
        data.write_bytes(before[:place] + bytes([before[place] ^ 4]) + before[place + 1:])
        with CheckpointStore(tmp_path / "checkpoints") as store, pytest.raises(InputError, match=r"3: (changed|damaged)"):
            store.load(3, state)
