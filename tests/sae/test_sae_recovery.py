"""Recovery error and angles: the identities of the specification, and planted angles down to 1e-4 rad."""

import numpy as np
import pytest
import scipy.stats

from jaxtrunc.sae.baselines import random_u
from jaxtrunc.sae.recovery import energy_outside, grassmann_distance, mean_angle, principal_angles, recovery_error

D, R = 48, 4


def bases(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return tuple(np.linalg.qr(rng.standard_normal((D, R)))[0] for _ in range(2))


def planted(angles: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two bases with these principal angles, hidden behind rotations of the space and of each basis."""
    r = len(angles)
    space = scipy.stats.ortho_group.rvs(D, random_state=seed)
    first, second = space[:, :r], space[:, :r] * np.cos(angles) + space[:, r : 2 * r] * np.sin(angles)
    turn = scipy.stats.ortho_group.rvs(r, random_state=seed + 1)
    return first @ turn.T, second @ turn


@pytest.mark.parametrize("seed", range(5))
def test_error_is_the_distance_of_the_projectors(seed):
    u, v = bases(seed)
    assert recovery_error(u, v) == pytest.approx(np.linalg.norm(u @ u.T - v @ v.T), rel=1e-12)
    assert recovery_error(u[:, :1], v) == pytest.approx(np.linalg.norm(u[:, :1] @ u[:, :1].T - v @ v.T), rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_error_squared_is_twice_the_sum_of_squared_sines(seed):
    u, v = bases(seed)
    angles = principal_angles(u, v)
    assert recovery_error(u, v) ** 2 == pytest.approx(2 * np.sum(np.sin(angles) ** 2), rel=1e-12)
    assert grassmann_distance(u, v) == pytest.approx(np.sqrt(np.sum(angles**2)))
    assert mean_angle(u, v) == pytest.approx(angles.mean())


@pytest.mark.parametrize("seed", range(5))
def test_rotating_a_basis_changes_nothing(seed):
    u, v = bases(seed)
    turned = u @ scipy.stats.ortho_group.rvs(R, random_state=seed)
    assert recovery_error(turned, v) == pytest.approx(recovery_error(u, v), rel=1e-12)
    assert recovery_error(turned.astype(np.float32), u.astype(np.float32)) <= 1e-5
    assert recovery_error(turned * [3.0, 0.1, 1.0, 7.0], u) <= 1e-12  # any columns with that span will do


@pytest.mark.parametrize("dtype, least", [(np.float32, 1e-3), (np.float64, 1e-4)])
def test_planted_angles_come_back(dtype, least):
    angles = np.geomspace(least, 1, 13)
    u, v = planted(angles, 3)
    found = principal_angles(u.astype(dtype), v.astype(dtype))
    np.testing.assert_allclose(found, angles, rtol=1e-3)
    expected = np.sqrt(2 * np.sum(np.sin(angles) ** 2))
    assert recovery_error(u.astype(dtype), v.astype(dtype)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("dtype, least", [(np.float32, 1e-3), (np.float64, 1e-4)])
def test_the_error_of_small_angles_alone_is_not_lost(dtype, least):
    angles = np.geomspace(least, 3 * least, 5)
    u, v = (basis.astype(dtype) for basis in planted(angles, 5))
    assert recovery_error(u, v) == pytest.approx(np.sqrt(2 * np.sum(np.sin(angles) ** 2)), rel=1e-3)


def test_energy_outside_is_a_share_of_squares():
    u = random_u(D, R, seed=0)
    rows = np.random.default_rng(1).standard_normal((7, D))
    inside = rows @ u @ u.T
    expected = 1 - np.sum(inside**2) / np.sum(rows**2)
    assert energy_outside(rows, u) == pytest.approx(expected, rel=1e-6)
    assert energy_outside(inside, u) < 1e-12
    assert energy_outside(np.zeros((3, D)), u) == 0
