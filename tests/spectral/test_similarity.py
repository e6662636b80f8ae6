"""The distance between the normalised spectra of two runs, against cumulative sums written out."""

import numpy as np
import pytest
from matrices import NAME, decomposed, gaussian, with_spectrum

from jaxtrunc.spectral import Decomposition, diagnostics, similarity, spectral_similarity
from jaxtrunc.spectral.similarity import spectrum_distance

STEEP = np.geomspace(1, 1e-3, 48)


def held(s) -> np.ndarray:
    """Share of the energy in the first 1 … r."""
    return np.cumsum(s**2) / np.sum(s**2)


def pair(s, m: int = 64, n: int = 48) -> tuple[dict, dict]:
    return {NAME: np.zeros((m, n), np.float32)}, {NAME: with_spectrum(s, m, n)}


def test_it_is_the_largest_difference_of_cumulative_energy():
    rng = np.random.default_rng(0)
    for _ in range(20):
        one, other = (np.sort(rng.lognormal(size=53))[::-1] for _ in range(2))
        assert spectrum_distance(one, other) == pytest.approx(np.max(np.abs(held(one) - held(other))), rel=1e-12)


def test_it_sees_neither_scale_nor_direction():
    assert spectrum_distance(STEEP, 7 * STEEP) == pytest.approx(0, abs=1e-14)
    one, other = (decomposed({NAME: np.zeros((64, 48), np.float32)}, {NAME: with_spectrum(STEEP, 64, 48, seed)})
                  for seed in (0, 5))
    assert similarity(one, other)[NAME] < 1e-5


def test_different_sizes_are_compared_at_equal_shares():
    assert spectrum_distance(np.ones(48), np.ones(96)) == pytest.approx(0, abs=1e-14)
    assert spectrum_distance(np.array([1.0]), np.array([1.0, 0.0])) == pytest.approx(0.5)


def test_two_decompositions_are_compared_where_both_are_whole():
    flat, steep = (decomposed(*pair(s)) for s in (np.ones(48), STEEP))
    expected = np.max(held(STEEP) - np.arange(1, 49) / 48)
    assert similarity(flat, steep) == {NAME: pytest.approx(expected, abs=1e-5)}
    assert similarity(flat, Decomposition("gram64")) == {}
    assert similarity(flat, decomposed(*pair(STEEP), backend="gram32")) == {}


def test_the_spectra_of_results_give_the_same_at_powers_of_two():
    paths = ["a/kernel", "b/kernel", "c/kernel"]
    zero = {path: np.zeros((64, 48), np.float32) for path in paths}
    runs = [zero | {path: gaussian(64, 48, seed + shift) * np.linspace(1, steep, 48, dtype=np.float32)
                    for seed, path in enumerate(paths)} for shift, steep in ((0, 1.0), (10, 20.0))]
    stored = [diagnostics(decomposed(zero, ft), zero, ft) for ft in runs]
    at = np.array([1, 2, 4, 8, 16, 32, 48]) - 1
    distances = [np.max(np.abs(np.subtract(*(held(np.linalg.svd(ft[path].astype(float), compute_uv=False))[at] for ft in runs))))
                 for path in paths]
    assert spectral_similarity(*stored) == pytest.approx(np.median(distances), rel=1e-6)
    assert np.median(distances) > 0.02
    assert spectral_similarity(stored[0], {}) is None and spectral_similarity(stored[0], stored[0]) == 0
