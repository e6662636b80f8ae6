"""The update of one pair of matrices: its closed form, its symmetries and its limits."""

import numpy as np
import pytest
from pairs import gaussian, of_rank, polar, step


def test_rank_one_has_a_closed_form():
    """Specification, section 4.3: both alignments are a(c_U)a(c_V) + b(c_U)b(c_V)."""
    for seed in range(3):
        f, g = of_rank(24, 16, 1, seed), of_rank(24, 16, 1, seed + 10)
        (uf, _, vf), (ug, _, vg) = (np.linalg.svd(m.astype(np.float64), full_matrices=False) for m in (f, g))
        c_u, c_v = uf[:, 0] @ ug[:, 0], vf[0] @ vg[0]

        def halves(c):
            return (np.sqrt(1 + c) + np.sqrt(1 - c)) / 2, (np.sqrt(1 + c) - np.sqrt(1 - c)) / 2

        expected = sum(x * y for x, y in zip(halves(c_u), halves(c_v), strict=True))
        direction, seen = step(f, g, rank=1)
        for u, v in ((uf, vf), (ug, vg)):
            assert u[:, 0] @ direction @ v[0] == pytest.approx(expected, abs=1e-5)
        # A matrix of rank one has ⟨M, O⟩ / ‖M‖_* = uᵀOv.
        assert seen.align_f[0] == pytest.approx(expected, abs=1e-5) and seen.align_g[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("polar_of, atol", [("gram", 1e-5), ("svd", 1e-5), ("newton_schulz", 1e-4)])
def test_neither_scale_nor_order_matters(polar_of, atol):
    f, g = gaussian(40, 32), gaussian(40, 32, seed=1)
    direction, _ = step(f, g, polar=polar_of)
    np.testing.assert_allclose(step(f * 37, g * 1e-7, polar=polar_of)[0], direction, atol=atol)
    np.testing.assert_allclose(step(g, f, polar=polar_of)[0], direction, atol=atol)


@pytest.mark.parametrize("shape", [(40, 32), (32, 70)])
def test_independent_tasks_share_an_orthogonal_update(shape):
    direction, seen = step(gaussian(*shape), gaussian(*shape, seed=1))
    values = np.linalg.svd(direction.astype(np.float64), compute_uv=False)
    np.testing.assert_allclose(values[:16], 1, atol=1e-4)
    np.testing.assert_allclose(values[16:], 0, atol=1e-4)
    assert seen.rank_used[0] == 16 and seen.fired[0] and seen.sti[0] > 0
    assert seen.sti_after[0] < 1e-4 * seen.sti[0]


def test_at_the_cap():
    """2K = min(m, n): the SVD keeps every direction, the Gram matrix says how many it kept."""
    f, g = gaussian(32, 32), gaussian(32, 32, seed=1)
    direction, _ = step(f, g, rank=100, polar="svd", rcond=0.0)
    np.testing.assert_allclose(np.linalg.svd(direction.astype(np.float64), compute_uv=False), 1, atol=1e-4)
    direction, seen = step(f, g, rank=100)
    assert 20 < seen.rank_used[0] <= 32
    assert np.linalg.norm(direction) <= np.sqrt(32) * 1.001


def test_opposite_and_equal_objectives():
    f = gaussian(40, 32)
    u, _, vt = np.linalg.svd(f.astype(np.float64), full_matrices=False)
    for polar_of in ("gram", "svd"):
        assert np.linalg.norm(step(f, -f, polar=polar_of)[0]) <= 1e-3 * np.sqrt(8)
        np.testing.assert_allclose(step(f, 2 * f, polar=polar_of)[0], u[:, :8] @ vt[:8], atol=1e-4)


def test_directions_of_no_weight_stay_out():
    """Rank 4 with K = 8: rounding may not choose the update."""
    f, g = of_rank(40, 32, 4), of_rank(40, 32, 4, seed=5)
    direction, seen = step(f, g)
    noise = 1e-7 * np.abs(f).max() * gaussian(40, 32, seed=9)
    np.testing.assert_allclose(step(f + noise, g - noise)[0], direction, atol=1e-3)
    assert seen.rank_used[0] == 8


def test_without_the_cap_square_matrices_give_the_mean_of_two_polar_factors():
    """The reason for the cap (section 4.3)."""
    f, g = (gaussian(24, 24, seed=seed) + 20 * np.eye(24, dtype=np.float32)[::sign] for seed, sign in ((0, 1), (1, -1)))
    np.testing.assert_allclose(step(f, g, subspace="none")[0], (polar(f) + polar(g)) / 2, atol=1e-4)


def test_a_lower_rank_can_be_compensated():
    f, g = gaussian(40, 32), gaussian(40, 32, seed=1)
    np.testing.assert_allclose(step(f, g, rank=4, rank_compensate=True)[0], 2 * step(f, g, rank=4)[0], rtol=1e-5)


@pytest.mark.parametrize("fallback, share", [("zero", 0), ("v0", 1), ("avg", 0.5)])
def test_what_happens_where_nothing_fires(fallback, share):
    f, g = gaussian(40, 32), gaussian(40, 32, seed=1)

    def muon(one, other):
        return step(one, other, threshold=-2.0, fallback=fallback)[0]

    alone = muon(f, 0 * f) + muon(g, 0 * g)  # a momentum of zero: Muon of the other, whatever the fallback
    np.testing.assert_allclose(muon(f, g), share * alone, atol=1e-5)
    assert np.abs(alone).max() > 0.1
