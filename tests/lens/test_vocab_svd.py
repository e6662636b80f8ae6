"""The decomposition of a head: right, the same on four devices, signed by what the data say."""

import jax
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import AxisType
from planted import of_condition, planted_clusters

from jaxtrunc.core.errors import InputError
from jaxtrunc.lens import vocab_svd, wps
from jaxtrunc.lens.directions import pole_ids


def mesh_of_four():
    return jax.make_mesh((4,), ("rows",), devices=jax.devices()[:4], axis_types=(AxisType.Explicit,))


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
@pytest.mark.parametrize("condition", [1e2, 1e4])
def test_against_float64_over_all_columns(condition, dtype):
    head = of_condition(condition).astype(dtype)
    exact = head.astype(np.float64)
    found = vocab_svd(head, k=64)
    np.testing.assert_allclose(found.sigma, np.linalg.svd(exact, compute_uv=False), rtol=1e-5)
    np.testing.assert_allclose(found.u.T @ found.u, np.eye(64), atol=1e-5)
    np.testing.assert_allclose((found.u * found.sigma) @ found.v.T, exact, atol=1e-5 * found.sigma[0])
    assert found.rank == 64 and found.k == 64


@pytest.mark.parametrize("condition", [1e2, 1e4])
def test_four_devices_give_what_one_gives(condition):
    head = of_condition(condition)
    one, four = vocab_svd(head), vocab_svd(head, mesh=mesh_of_four())
    assert len(head) % 4
    np.testing.assert_allclose(four.sigma, one.sigma, rtol=2e-5, atol=1e-6 * one.sigma[0])
    np.testing.assert_allclose(four.sigma, one.sigma, rtol=2e-5)


def test_more_directions_than_the_rank_are_clamped():
    head = of_condition(10.0, 300, 16)
    head[:, 12:] = head[:, :4]
    found = vocab_svd(head, k=30)
    assert found.rank == 12 and found.u.shape == (300, 12)


def test_a_kernel_stored_as_width_by_vocabulary_must_be_said_to_be_one():
    head = of_condition(10.0, 300, 16)
    np.testing.assert_allclose(vocab_svd(head.T, layout="dv").sigma, vocab_svd(head).sigma, rtol=1e-12)
    with pytest.raises(InputError, match="layout='dv'"):
        vocab_svd(head.T)


@pytest.mark.parametrize("head, words", [(np.zeros((9, 3), np.float32), "zero"), (np.ones((9, 3), int), "floats"),
                                         (np.ones(9, np.float32), "matrix"), (np.ones((9, 1), np.float32), "columns")])
def test_what_cannot_be_decomposed(head, words):
    with pytest.raises(InputError, match=words):
        vocab_svd(head)
    with pytest.raises(InputError, match="k: expected"):
        vocab_svd(of_condition(10.0, 300, 16), k=0)


def test_the_heavier_tail_is_positive():
    head, _ = planted_clusters()
    found = vocab_svd(head, k=5)
    assert (found.skewness > 0).all() and not found.undetermined.any()
    np.testing.assert_allclose(found.skewness, 600**0.5 * (found.u**3).sum(0), rtol=1e-6)
    np.testing.assert_allclose(vocab_svd(-head, k=5).u, found.u, atol=1e-9)


def test_where_the_tails_are_alike_the_largest_entry_decides_and_a_flag_says_so():
    half = np.random.default_rng(0).normal(size=(200, 8))
    found = vocab_svd(np.concatenate([half, -half]), k=8)
    assert found.undetermined.all()
    assert (found.u[np.abs(found.u).argmax(0), np.arange(8)] > 0).all()


def test_neighbours_that_only_a_rotation_tells_apart_are_one_block():
    sigma = np.array([10, 5, 4.99, 4.98, 3, 2, 1.999, 1])
    left, right = (np.linalg.qr(np.random.default_rng(0).normal(size=(size, 8)))[0] for size in (100, 8))
    found = vocab_svd((left * sigma) @ right.T, k=6)
    assert found.blocks.tolist() == [-1, 0, 0, 0, -1, 1, 1, -1]
    assert found.cuts_block() and not vocab_svd((left * sigma) @ right.T, k=5).cuts_block()


def test_a_rotated_head_gives_the_same_scores_and_poles():
    head, _ = planted_clusters()
    turn = np.linalg.qr(np.random.default_rng(7).normal(size=(64, 64)))[0]
    plain, turned = head.astype(np.float32), (head.astype(np.float32) @ turn.astype(np.float32)).astype(np.float32)
    a, b = vocab_svd(plain, k=5), vocab_svd(turned, k=5)
    np.testing.assert_allclose(b.sigma, a.sigma, rtol=0, atol=1e-5 * a.sigma[0])
    scores, others = wps(plain, a), wps(turned, b)
    np.testing.assert_allclose(others.wps1_k, scores.wps1_k, rtol=1e-4)
    np.testing.assert_allclose(others.wps2_k, scores.wps2_k, rtol=1e-4)
    np.testing.assert_allclose(others.wps1_d, scores.wps1_d, rtol=1e-3)
    np.testing.assert_allclose(others.spread, scores.spread, rtol=1e-3)
    everyone = np.ones(600, bool)
    for i, (ours, theirs) in enumerate(zip(pole_ids(a.u, everyone, 20), pole_ids(b.u, everyone, 20), strict=True)):
        for mine, other in zip(ours, theirs, strict=True):
            apart = np.setxor1d(mine, other)
            assert np.allclose(a.u[apart, i], a.u[mine[-1], i], atol=1e-4)


def test_scores_against_their_definitions():
    head = of_condition(50.0, 500, 24)
    head[17] = 0
    svd = vocab_svd(head, k=6)
    found = wps(head, svd)
    exact = head.astype(np.float64)
    sizes = np.abs(exact @ np.linalg.svd(exact, full_matrices=False)[2].T)
    np.testing.assert_allclose(found.wps1_k, sizes[:, :6].sum(1), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.wps1_d, sizes.sum(1), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.wps2_k, np.linalg.norm(sizes[:, :6], axis=1), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.norm, np.linalg.norm(exact, axis=1), rtol=1e-12)
    live = np.arange(500) != 17
    np.testing.assert_allclose(found.spread[live], (sizes.sum(1) / (24**0.5 * np.linalg.norm(exact, axis=1)))[live], rtol=1e-5)
    assert np.isnan(found.spread[17])
    np.testing.assert_allclose(wps(head * 3, vocab_svd(head * 3, k=6)).spread[live], found.spread[live], rtol=1e-5)
