"""From rows to U: the algorithm against NumPy, what is reported of it, what weighting is for, and what is refused."""

import json

import numpy as np
import pytest

from jaxtrunc.core.errors import InputError
from jaxtrunc.sae import subspace as module
from jaxtrunc.sae.baselines import random_u
from jaxtrunc.sae.bundle import Origin, read_bundle, write_bundle
from jaxtrunc.sae.recovery import recovery_error
from jaxtrunc.sae.subspace import subspace

D = 32


def rows_of(m: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((m, D)).astype(np.float32)


@pytest.mark.parametrize("m", [10, 100])
@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_u_is_the_leading_right_side(m, center, weighted):
    rows, weights = rows_of(m), np.random.default_rng(1).uniform(0.1, 1, m)
    found = subspace(rows, weights if weighted else None, rank=4, center=center)
    unit = rows.astype(np.float64) / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    plain = unit * (weights[:, None] if weighted else 1)
    plain = plain - plain.mean(axis=0) * center
    _, singular_values, right = np.linalg.svd(plain, full_matrices=False)
    np.testing.assert_allclose(np.abs(found.u.T), np.abs(right[:4]), atol=1e-5)
    np.testing.assert_allclose(found.singular_values, singular_values, atol=1e-10)
    share = np.cumsum(singular_values**2) / np.sum(singular_values**2)
    assert found.q == np.flatnonzero(share >= 0.8)[0] + 1
    assert found.variance == pytest.approx(share[3])
    assert found.sigma_ratio == pytest.approx(singular_values[3] / singular_values[4])
    assert found.u.dtype == np.float32 and found.rank == 4
    np.testing.assert_allclose(found.u.T @ found.u, np.eye(4), atol=1e-6)


def test_signs_and_lengths_do_not_matter():
    rows = rows_of(10)
    flipped = rows * np.random.default_rng(2).choice([-3.0, 0.5], (10, 1))
    for found in (subspace(rows, rank=4), subspace(flipped, rank=4)):
        assert (found.u[np.abs(found.u).argmax(axis=0), np.arange(4)] > 0).all()
    np.testing.assert_allclose(subspace(flipped, rank=4).u, subspace(rows, rank=4).u, atol=1e-5)


def test_tau_is_reported_and_changes_nothing_else():
    low, high = (subspace(rows_of(20), rank=4, tau=tau) for tau in (0.5, 1.0))
    assert low.q < high.q == 20
    np.testing.assert_array_equal(low.u, high.u)


def test_a_wide_matrix_in_float32_gives_the_same_span(monkeypatch):
    exact = subspace(rows_of(100), rank=8)
    monkeypatch.setattr(module, "MOST_EXACT", 1)
    assert recovery_error(subspace(rows_of(100), rank=8).u, exact.u) < 1e-4


def test_unweighted_the_true_span_drowns_and_weighted_it_does_not():
    """r = 4 true directions among m = 8 rows: the specification's simulation, maximum √8."""
    weighted, plain = [], []
    for seed in range(5):
        truth = random_u(D, 4, seed)
        rows = np.concatenate([truth.T, random_u(D, 4, 100 + seed).T])
        delta = np.array([1.0, 0.9, 0.8, 0.7, 0.05, 0.05, 0.04, 0.03])
        weighted.append(recovery_error(subspace(rows, delta, rank=4).u, truth))
        plain.append(recovery_error(subspace(rows, rank=4).u, truth))
    assert max(weighted) < 0.25 and min(plain) > 1


def test_a_close_gap_is_said():
    almost = np.eye(D)[:6]
    found = subspace(almost, rank=4, origin=Origin("resid_post.2"))
    assert found.sigma_ratio == pytest.approx(1) and "σ_4/σ_5 = 1.000" in found.warnings[0] and "resid_post.2" in found.warnings[0]
    assert subspace(almost, np.array([4, 4, 4, 4, 1, 1.0]), rank=4).warnings == []
    assert subspace(almost, rank=6).sigma_ratio is None and subspace(almost, rank=6).warnings == []


@pytest.mark.parametrize("rows, settings, message", [
    (np.repeat(rows_of(3), 4, axis=0), {"rank": 4}, "span 3 dimensions; expected a rank from 1 to 3"),
    (rows_of(3), {"rank": 16}, "from 1 to 3"),
    (rows_of(3), {"rank": 0}, "rank 0"),
    (rows_of(8), {"rank": 2, "tau": 0.0}, "tau 0.0"),
    (rows_of(8), {"rank": 2, "weights": np.ones(7)}, "8 finite numbers"),
    (rows_of(8), {"rank": 2, "weights": -np.ones(8)}, "not negative"),
    (rows_of(8), {"rank": 1, "weights": np.zeros(8)}, "span 0 dimensions"),
    (rows_of(8) * (np.arange(8) != 5)[:, None], {"rank": 2}, "row 5 is zero"),
    (rows_of(8)[0], {"rank": 1}, r"shape \(32,\)"),
    (rows_of(0), {"rank": 1}, r"shape \(0, 32\)"),
    (rows_of(3), {"rank": 1, "origin": Origin("a.0", "x", (1, 2))}, "2 features for 3 rows")])
def test_what_makes_no_subspace_is_refused(rows, settings, message):
    with pytest.raises(InputError, match=message):
        subspace(rows, **settings)


def test_a_row_that_is_not_finite_is_named_by_its_feature():
    rows = rows_of(4)
    rows[2, 1] = np.nan
    with pytest.raises(InputError, match="feature 77 is zero or not finite"):
        subspace(rows, rank=2, origin=Origin("resid_post.0", "sae", (5, 6, 77, 8)))


def test_a_bundle_comes_back(tmp_path):
    made = subspace(rows_of(6), np.arange(1.0, 7), rank=3, origin=Origin("resid_post.3", "sae-id", tuple(range(10, 16))))
    write_bundle(tmp_path / "resid_post.3", made)
    again = read_bundle(tmp_path / "resid_post.3")
    for name in ("u", "singular_values", "features", "weights"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))
        assert getattr(again, name).dtype == getattr(made, name).dtype
    assert again.facts() == made.facts() and again.config_hash == made.config_hash
    first = (tmp_path / "resid_post.3.npz").read_bytes()
    write_bundle(tmp_path / "resid_post.3", made)
    assert (tmp_path / "resid_post.3.npz").read_bytes() == first
    other = subspace(rows_of(6), np.arange(1.0, 7), rank=4, origin=Origin("resid_post.3", "sae-id", tuple(range(10, 16))))
    assert other.config_hash != made.config_hash


def test_a_damaged_bundle_is_refused(tmp_path):
    stem = tmp_path / "resid_post.3"
    write_bundle(stem, subspace(rows_of(6), rank=3))
    facts = json.loads((tmp_path / "resid_post.3.json").read_text())
    write_bundle(stem, subspace(rows_of(6, seed=9), rank=3))
    (tmp_path / "resid_post.3.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match="u_hash"):
        read_bundle(stem)
    (tmp_path / "resid_post.3.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"cannot be read as \.npz"):
        read_bundle(stem)
    (tmp_path / "resid_post.3.npz").unlink()
    with pytest.raises(InputError, match="no such file"):
        read_bundle(stem)
    (tmp_path / "resid_post.3.json").write_text('{"format": 2}')
    with pytest.raises(InputError, match="format 1"):
        read_bundle(stem)
