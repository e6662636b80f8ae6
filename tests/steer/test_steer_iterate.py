"""Bases from a warm power iteration beside those of a full decomposition."""

import jax
import numpy as np
from pairs import gaussian, step

from jaxtrunc.steer import scale_by_sift
from jaxtrunc.steer.bases import iterate_bases, refreshed

K = 4


def with_gap(m, n, gap, seed):
    """σ falls by `gap` after the K-th, slowly elsewhere."""
    u, _, vt = np.linalg.svd(gaussian(m, n, seed=seed).astype(np.float64), full_matrices=False)
    sigma = 0.98 ** np.arange(len(vt)) / np.where(np.arange(len(vt)) < K, 1, gap)
    return ((u * sigma) @ vt).astype(np.float32)


def test_after_five_warm_steps_it_agrees_with_the_decomposition():
    tx = scale_by_sift(beta=0.0, nesterov=False, threshold=None, rank=K, subspace="iterate")
    update = jax.jit(tx.update)
    differences = []
    for draw in range(20):
        f, g = ({"w": with_gap(24, 20, 1.5, seed=2 * draw + which)} for which in (0, 1))
        state = tx.init(f)
        for _ in range(5):
            found, state = update(f, state, constraint_grads=g)
        exact, _ = step(f["w"], g["w"], rank=K)
        differences.append(np.linalg.norm(found["w"] - exact) / np.linalg.norm(exact))
    assert np.median(differences) <= 0.02


def test_the_basis_is_kept_warm_with_the_gate_closed_and_left_alone_out_of_season():
    f, g = {"w": gaussian(2, 24, 20)}, {"w": gaussian(2, 24, 20, seed=1)}
    closed = scale_by_sift(rank=K, subspace="iterate", threshold=-2.0)
    _, state = jax.jit(closed.update)(f, closed.init(f), constraint_grads=g)
    assert state.basis.f["w"].shape == (2, 24, K)
    for basis in (*np.asarray(state.basis.f["w"]), *np.asarray(state.basis.g["w"])):
        np.testing.assert_allclose(basis.T @ basis, np.eye(K), atol=1e-5)
    _, empty = jax.jit(closed.update)(f, closed.init(f), constraint_grads=jax.tree.map(np.zeros_like, g))
    assert not np.any(empty.basis.f["w"])  # one momentum is zero: nothing could fire


def test_rank_below_k_is_masked():
    low = (gaussian(24, 2) @ gaussian(2, 20, seed=1)).astype(np.float32)
    bases = jax.jit(lambda m: iterate_bases(m, refreshed(m, np.zeros((24, K), np.float32), 2), 1e-5))(low)
    assert (np.asarray(bases.sigma) > 0).tolist() == [True, True, False, False]
    np.testing.assert_allclose((bases.u * bases.sigma) @ np.asarray(bases.v).T, low, atol=1e-5 * np.abs(low).max())
    np.testing.assert_allclose(bases.sigma[:2], np.linalg.svd(low, compute_uv=False)[:2], rtol=1e-5)
