"""Criterion 3: noise edges find a planted signal, and say so when there is no noise to fit."""

import numpy as np
import pytest
from matrices import NAME, OnZero, decomposed, gaussian, orthonormal, with_spectrum
from scipy.integrate import quad

from jaxtrunc.spectral import Level, Reconstructor, diagnostics
from jaxtrunc.spectral.noise import hard_threshold_factor, mp_cdf, mp_median_root

M, N, Q = 512, 1024, 8


@pytest.fixture(scope="module")
def planted():
    noise = gaussian(M, N, seed=3).astype(np.float64)
    tau = hard_threshold_factor(M / N) * 1e-3 * N**0.5
    spikes = tau * np.linspace(4, 2, Q)
    signal = (orthonormal(M, Q, 1) * spikes) @ orthonormal(N, Q, 2).T
    return OnZero((noise + signal).astype(np.float32)), np.linalg.norm(noise, 2)


@pytest.mark.parametrize("operator", ["mp_edge", "dg_hard"])
def test_data_free_cuts_keep_exactly_the_planted_components(planted, operator):
    made, _ = planted
    assert np.linalg.matrix_rank(made.cut(operator).astype(np.float64), tol=1e-6) == Q


def test_the_edge_is_within_3_percent_of_the_top_of_the_noise(planted):
    made, top = planted
    facts = diagnostics(made.decomposition, made.base, made.ft)[made.name]
    assert abs(facts["mp_edge"] / top - 1) < 0.03
    assert facts["mp_valid"] is True and facts["spikes"] == Q


def test_the_constants_of_the_law():
    assert mp_median_root(0.5) == pytest.approx(0.9113, abs=2e-4)
    assert hard_threshold_factor(0.5) == pytest.approx(1.9786, abs=1e-4)
    assert hard_threshold_factor(1.0) == pytest.approx(4 / 3**0.5, abs=1e-12)


@pytest.mark.parametrize("beta", [0.1, 0.5, 1.0])
def test_the_distribution_function_against_quadrature(beta):
    low, high = (1 - beta**0.5) ** 2, (1 + beta**0.5) ** 2
    for x in np.linspace(low, high, 7)[1:-1]:
        mass = quad(lambda t: ((high - t) * (t - low)) ** 0.5 / (2 * np.pi * beta * t), low, x)[0]
        assert float(mp_cdf(np.array(x), beta)) == pytest.approx(mass, abs=1e-4)


def test_noise_with_unequal_rows_is_not_called_valid():
    scales = np.exp(0.5 * np.random.default_rng(1).standard_normal((M, 1)))
    made = OnZero((gaussian(M, N, seed=4) * scales).astype(np.float32))
    facts = diagnostics(made.decomposition, made.base, made.ft)[made.name]
    assert facts["mp_valid"] is False and facts["mp_distance"] > 0.1
    top = np.linalg.norm(made.update.astype(np.float64), 2)
    assert abs(facts["signflip_edge"] / top - 1) < 0.05  # the null that keeps the rows is right here


@pytest.mark.parametrize("operator", ["mp_edge", "dg_hard"])
def test_a_merged_lora_has_no_edge_and_is_refused_with_the_reason(operator):
    base = {NAME: gaussian(256, 128, std=0.02)}
    ft = {NAME: base[NAME] + with_spectrum(np.linspace(2, 1, 16), 256, 128)}
    decomposition = decomposed(base, ft)
    facts = diagnostics(decomposition, base, ft)[NAME]
    assert facts["rank"] == 16
    assert facts["mp_edge"] is None and facts["dg_hard"] is None and not facts["mp_valid"]
    weights = Reconstructor(decomposition, base, ft).weights(Level(operator))
    assert not weights.leaves
    assert operator in weights.skipped_reason and "rank 16 of 128" in weights.skipped_reason
