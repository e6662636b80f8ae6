"""Controls rescaled to the norm of top_k, matrix by matrix."""

import numpy as np
import pytest
from matrices import OnZero, decomposed, gaussian, with_spectrum

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral import Level, Reconstructor

UPDATES = {"a/kernel": with_spectrum(np.geomspace(5, 0.5, 40), 60, 40), "b/kernel": gaussian(40, 70, 2)}
ZERO = {path: np.zeros_like(leaf) for path, leaf in UPDATES.items()}
REBUILD = Reconstructor(decomposed(ZERO, UPDATES), ZERO, UPDATES)


@pytest.mark.parametrize("k", [1, 6, 39])
@pytest.mark.parametrize("operator", ["bottom_k", "drop_top_k", "random_k", "interpolate"])
def test_every_matrix_has_the_norm_of_top_k(operator, k):
    wanted = {path: np.linalg.norm(leaf) for path, leaf in REBUILD.weights(Level("top_k", k=k)).leaves.items()}
    seed = 0 if operator == "random_k" else None
    raw = {path: leaf.copy() for path, leaf in _raw(operator, k, seed).items()}
    weights = REBUILD.weights(Level(operator, k=k, seed=seed, norm_matched=True))
    factors = []
    for path, leaf in weights.leaves.items():
        assert np.linalg.norm(leaf) == pytest.approx(wanted[path], rel=1e-5)
        factors.append(wanted[path] / np.linalg.norm(raw[path]))
        np.testing.assert_allclose(leaf, raw[path] * factors[-1], rtol=1e-4, atol=1e-6)
    assert weights.max_norm_factor == pytest.approx(max(factors), rel=1e-5)


def _raw(operator, k, seed):
    if operator == "interpolate":
        return UPDATES
    return REBUILD.weights(Level(operator, k=k, seed=seed)).leaves


def test_without_matching_there_is_no_factor():
    assert REBUILD.weights(Level("bottom_k", k=3)).max_norm_factor is None


def test_a_fraction_is_matched_to_the_same_fraction():
    wanted = np.linalg.norm(REBUILD.weights(Level("top_k", param=0.1)).leaves["a/kernel"])
    found = REBUILD.weights(Level("bottom_k", param=0.1, norm_matched=True)).leaves["a/kernel"]
    assert np.linalg.norm(found) == pytest.approx(wanted, rel=1e-5)


def test_a_control_that_keeps_nothing_is_skipped_with_its_reason():
    weights = REBUILD.weights(Level("drop_top_k", k=40, norm_matched=True))
    assert not weights.leaves and "a/kernel" in weights.skipped_reason


def test_two_empty_updates_have_equal_norms_already():
    weights = REBUILD.weights(Level("bottom_k", k=0, norm_matched=True))
    assert weights.skipped_reason is None and weights.max_norm_factor == 1.0
    assert not weights.leaves["a/kernel"].any()


def test_the_largest_factor_is_told():
    made = OnZero(with_spectrum(np.geomspace(1, 1e-4, 40), 60, 40))
    weights = made.rebuild.weights(Level("bottom_k", k=1, norm_matched=True))
    assert weights.max_norm_factor == pytest.approx(1e4, rel=1e-2)


def test_factors_carry_the_norm_factor():
    level = Level("bottom_k", k=4, norm_matched=True)
    weights = {path: leaf.copy() for path, leaf in REBUILD.weights(level).leaves.items()}
    for name, (a, b) in REBUILD.factors(level).items():
        np.testing.assert_allclose((b @ a).T, weights[name], atol=1e-5 * np.abs(weights[name]).max())


def test_an_unmatched_interpolation_needs_its_alpha():
    with pytest.raises(InputError):
        REBUILD.weights(Level("interpolate", k=3))
