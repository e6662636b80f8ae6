"""The controls: each against plain NumPy, and what it recovers where the truth is known."""

import numpy as np
import pytest

from jaxtrunc.core.errors import InputError
from jaxtrunc.sae.baselines import cov_diff, mean_diff, pca_diff, random_u, raw_direction
from jaxtrunc.sae.recovery import recovery_error
from jaxtrunc.sae.synthetic import ConceptBatches, Concepts, half_aligned, spread_directions


@pytest.fixture(scope="module")
def world() -> tuple[Concepts, np.ndarray, np.ndarray]:
    concepts = Concepts(spread_directions(32, 48, 0), 4)
    aligned = half_aligned(8000)
    h = concepts.sample(aligned, np.random.default_rng(1))
    return concepts, h[aligned], h[~aligned]


def test_directions_are_spread(world):
    w = world[0].w
    np.testing.assert_allclose(np.linalg.norm(w, axis=0), 1)
    cosines = np.abs(w.T @ w - np.eye(48))
    start = np.random.default_rng(0).standard_normal((48, 32))
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    assert cosines.max() < 0.6 * np.abs(start @ start.T - np.eye(48)).max()


def test_concepts_have_the_population_they_claim(world):
    concepts, aligned, unaligned = world
    assert np.linalg.norm(aligned.mean(axis=0) - unaligned.mean(axis=0) - concepts.mean_difference) < 0.05
    rates = np.where(np.arange(48) < 4, 0.35, 0.06)
    variances = rates * (1 + 1 / 12) - rates**2
    covariance = concepts.w * variances @ concepts.w.T + 0.01**2 * np.eye(32)
    assert np.linalg.norm(np.cov(aligned.T) - covariance) < 0.1 * np.linalg.norm(covariance)
    assert aligned.dtype == unaligned.dtype == np.float32


def test_batches_depend_on_seed_and_position_alone(world):
    batches, again = (ConceptBatches(world[0], 16, seed=3) for _ in range(2))
    found = [next(batches) for _ in range(4)]
    again.restore(2)
    np.testing.assert_array_equal(next(again), found[2])
    assert again.state == 3 and not np.array_equal(found[0], found[1])
    assert not np.array_equal(next(ConceptBatches(world[0], 16, seed=4)), found[0])


@pytest.mark.parametrize("rank", [1, 5])
def test_all_controls_are_orthonormal_and_repeat(world, rank):
    _, aligned, unaligned = world
    for make in (lambda: random_u(32, rank, 7), lambda: mean_diff(aligned, unaligned, rank, 7),
                 lambda: pca_diff(aligned, unaligned, rank, 7), lambda: cov_diff(aligned, unaligned, rank)):
        u = make()
        assert u.shape == (32, rank) and u.dtype == np.float32
        np.testing.assert_allclose(u.T @ u, np.eye(rank), atol=1e-5)
        assert (u[np.abs(u).argmax(axis=0), np.arange(rank)] > 0).all()
        np.testing.assert_array_equal(u, make())
    assert not np.array_equal(random_u(32, rank, 8), random_u(32, rank, 7))


def test_mean_diff_holds_the_direction_of_the_means(world):
    _, aligned, unaligned = world
    difference = aligned.astype(np.float64).mean(axis=0) - unaligned.astype(np.float64).mean(axis=0)
    cosine = difference @ raw_direction(aligned, unaligned)[:, 0] / np.linalg.norm(difference)
    assert abs(cosine) == pytest.approx(1, abs=1e-6)
    u = mean_diff(aligned, unaligned, 4, 0)
    assert np.linalg.norm(difference - u @ (u.T @ difference)) < 1e-6


def test_pca_diff_is_the_svd_of_paired_differences(world):
    _, aligned, unaligned = world
    few = pca_diff(aligned[:3], unaligned[:900], 3, 5)
    rng = np.random.default_rng(5)
    pairs = aligned[:3][rng.permutation(3)] - unaligned[:900][rng.permutation(900)[:3]]
    assert recovery_error(few, pairs.T) < 1e-5
    full = pca_diff(aligned, unaligned, 4, 5)
    rng = np.random.default_rng(5)
    first, second = (rows[rng.permutation(4000)].astype(np.float64) for rows in (aligned, unaligned))
    assert recovery_error(full, np.linalg.svd(first - second, full_matrices=False)[2][:4].T) < 1e-5


@pytest.mark.parametrize("rows", [10, 4000])
def test_cov_diff_is_the_eigenbasis_of_the_difference(world, rows):
    _, aligned, unaligned = (world[0], world[1][:rows], world[2][:rows])
    difference = np.cov(aligned.astype(np.float64).T) - np.cov(unaligned.astype(np.float64).T)
    values, vectors = np.linalg.eigh(difference)
    largest = vectors[:, np.argsort(-np.abs(values))[:4]]
    assert recovery_error(cov_diff(aligned, unaligned, 4), largest) < 1e-4


def test_cov_diff_recovers_what_the_means_cannot(world):
    concepts, aligned, unaligned = world
    assert recovery_error(cov_diff(aligned, unaligned, 4), concepts.target) < 0.3
    assert recovery_error(raw_direction(aligned, unaligned), concepts.target) > 1.73


def test_impossible_ranks_and_classes_are_refused(world):
    _, aligned, unaligned = world
    for make in (lambda: random_u(8, 9, 0), lambda: pca_diff(aligned[:3], unaligned, 4, 0), lambda: cov_diff(aligned[:2],
                 unaligned[:2], 5), lambda: mean_diff(aligned, unaligned, 33, 0), lambda: random_u(8, 0, 0)):
        with pytest.raises(InputError, match="rank"):
            make()
    with pytest.raises(InputError, match="at least 2"):
        cov_diff(aligned[:1], unaligned, 1)
    with pytest.raises(InputError, match="equal"):
        mean_diff(aligned, aligned, 2, 0)
