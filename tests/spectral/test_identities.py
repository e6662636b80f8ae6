"""Criterion 2: what every 0/1 cut must satisfy, on flat and on steeply decaying spectra, against float64 LAPACK."""

import numpy as np
import pytest
from matrices import OnZero, distance, gaussian, truth, with_spectrum

from jaxtrunc.spectral.gains import permutation

R = 64
STEEP = np.geomspace(1, 1e-4, R)
POWER = np.arange(1, R + 1.0) ** -1.5
CLIFF = np.where(np.arange(R) < 6, np.geomspace(8, 1, R), 1e-3 * np.geomspace(1, 0.5, R))
UPDATES = {
    "flat tall": gaussian(160, R), "flat wide": gaussian(R, 160), "flat square": gaussian(R, R),
    "steep": with_spectrum(STEEP, 160, R), "steep wide": with_spectrum(STEEP, R, 160),
    "power law": with_spectrum(POWER, 100, R), "cliff": with_spectrum(CLIFF, 100, R),
}
KS = (1, 4, R // 2, R - 1)


@pytest.fixture(params=UPDATES, scope="module")
def made(request):
    return OnZero(UPDATES[request.param])


def components(operator, k, svd):
    every = np.arange(svd.r)
    return {"top_k": every[:k], "drop_top_k": every[k:], "bottom_k": every[svd.rank - k:svd.rank],
            "random_k": permutation(svd, 1)[:k]}[operator]


@pytest.mark.parametrize("k", KS)
@pytest.mark.parametrize("operator", ["top_k", "drop_top_k", "bottom_k", "random_k"])
def test_every_operator_is_within_1e_5_of_float64(made, operator, k):
    found = made.cut(operator, k, seed=1 if operator == "random_k" else None)
    assert distance(found, truth(made.update, components(operator, k, made.svd))) < 1e-5


@pytest.mark.parametrize("k", KS)
def test_head_and_remainder_add_up(made, k):
    whole = made.cut("top_k", k).astype(np.float64) + made.cut("drop_top_k", k)
    assert distance(whole, made.update) < 1e-5


@pytest.mark.parametrize("k", KS)
def test_what_a_cut_removes_is_the_tail_energy(made, k):
    tail = np.sum(np.linalg.svd(made.update.astype(np.float64), compute_uv=False)[k:] ** 2)
    total = np.sum(made.update.astype(np.float64) ** 2)
    removed = np.sum((made.update.astype(np.float64) - made.cut("top_k", k)) ** 2)
    assert abs(removed - tail) < 1e-6 * total
    if tail >= 1e-6 * total:
        assert abs(removed - tail) < 1e-4 * tail


@pytest.mark.parametrize("k", KS)
def test_a_cut_to_k_components_has_rank_k(made, k):
    s = np.linalg.svd(made.cut("top_k", k).astype(np.float64), compute_uv=False)
    assert np.sum(s > s[0] * R * 2.0**-23) <= k


def test_every_k_of_the_grid_in_one_sweep():
    """Also between the rungs, where a level branches off."""
    made = OnZero(UPDATES["flat tall"])
    for k in (3, 5, 9, 20, 33, 48, 50, 61, 63):
        assert distance(made.cut("top_k", k), truth(made.update, np.arange(k))) < 1e-5
        assert distance(made.cut("drop_top_k", k), truth(made.update, np.arange(k, R))) < 1e-5
