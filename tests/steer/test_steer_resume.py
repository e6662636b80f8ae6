"""A checkpoint holds all of SIFT's state: a run that goes on from it ends with the same bits."""

import jax
import numpy as np
from pairs import gaussian

from jaxtrunc.core.checkpoints import CheckpointStore
from jaxtrunc.steer import sift


def test_resuming_is_exact_to_the_bit(tmp_path):
    params = {"layers/kernel": gaussian(2, 12, 10), "layers/norm": gaussian(2, 12), "tiny/kernel": gaussian(1, 10)}
    tx = sift(0.1, rank=2, threshold=None, subspace="iterate")
    steps = [[jax.tree.map(lambda x, seed=seed: gaussian(*x.shape, seed=seed), params) for seed in (2 * at, 2 * at + 1)]
             for at in range(4)]
    update = jax.jit(tx.update)

    def run(state, some):
        for f, g in some:
            direction, state = update(f, state, params, constraint_grads=g)
        return direction, state

    _, middle = run(jax.jit(tx.init)(params), steps[:2])
    with CheckpointStore(tmp_path / "checkpoints") as store:
        store.save(2, middle, {})
        restored = store.load(2, middle)
    whole, resumed = run(middle, steps[2:]), run(restored, steps[2:])
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True):
        np.testing.assert_array_equal(one, other)
