"""Only the leading components: exact, fewer, refused where the tail is needed, and stored as such."""

import numpy as np
import pytest
from matrices import NAME, OnZero, assert_same, decomposed, distance, gaussian, truth, with_spectrum

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral import Level, decompose_into, delta_svd, load, plan_levels, references
from jaxtrunc.spectral.backends import gram

R, LEADING = 96, 12
UPDATES = {"tall": gaussian(300, R), "wide": gaussian(R, 300),
           "square, condition 1e5": with_spectrum(np.geomspace(1, 1e-5, R), R, R)}


@pytest.mark.parametrize("shape", UPDATES)
@pytest.mark.parametrize("backend", ["gram64", "host", "device"])
def test_they_are_exact(backend, shape):
    made = OnZero(UPDATES[shape], backend=backend, leading=LEADING)
    wanted = np.linalg.svd(made.update.astype(np.float64), compute_uv=False)
    assert made.svd.basis.shape == (R, LEADING) and not made.svd.complete and made.svd.rank == R
    np.testing.assert_allclose(made.svd.s, wanted[:LEADING], rtol=1e-12)
    assert distance(made.cut("top_k", 9), truth(made.update, np.arange(9))) < 1e-6
    assert np.array_equal(made.cut("top_k", R), made.update)


@pytest.mark.parametrize("leading", [1, 15, 17, 95, 96, 500])
def test_lapacks_solver_for_some_and_that_for_all_agree(leading):
    """Around the share from which all are computed."""
    made = OnZero(UPDATES["tall"], leading=leading)
    wanted = np.linalg.svd(made.update.astype(np.float64), compute_uv=False)[:leading]
    np.testing.assert_allclose(made.svd.s, wanted, rtol=1e-12)
    np.testing.assert_allclose(made.svd.basis.T @ made.svd.basis, np.eye(len(wanted)), atol=1e-12)
    assert made.svd.complete == (leading >= R)


@pytest.mark.parametrize("backend", ["gram32", "randomized"])
def test_partial_backends_give_no_more_than_asked_for(backend):
    spiked = with_spectrum(np.concatenate([np.linspace(4, 3, 12), np.full(84, 0.05)]), 300, R)
    made = OnZero(spiked, backend=backend, leading=5)
    np.testing.assert_allclose(made.svd.s, np.linspace(4, 3, 12)[:5], rtol=1e-3)


def test_the_default_grid_goes_no_further_and_ends_with_all():
    made = OnZero(UPDATES["tall"], leading=LEADING)
    assert [level.k for level in plan_levels(made.decomposition, ["top_k"])] == [0, 1, 2, 4, 8, R]


@pytest.mark.parametrize(("operators", "ranks", "words"), [
    (["bottom_k"], [4], "singular tail"), (["top_k"], [4, 13], r"k = 13 needs more than the 12"), (["flatten_k"], [20], "k = 20")])
def test_what_needs_more_is_refused_before_anything_is_evaluated(operators, ranks, words):
    made = OnZero(UPDATES["tall"], leading=LEADING)
    with pytest.raises(InputError, match=rf"(?s){words}.*--leading"):
        plan_levels(made.decomposition, operators, ranks)


def test_no_component_at_all_is_refused():
    with pytest.raises(InputError, match=r"--leading: expected .* at least 1, found 0"):
        OnZero(UPDATES["tall"], leading=0)


def test_stored_loaded_and_carried_on(tmp_path):
    base = {NAME: np.zeros((2, 300, R), np.float32)}
    ft = {NAME: np.stack([gaussian(300, R, seed) for seed in range(2)])}
    refs = references({NAME: (2, 300, R)})
    decompose_into(tmp_path, base, ft, refs[:1], leading=LEADING)
    whole = decompose_into(tmp_path, base, ft, refs, leading=LEADING)
    assert_same(whole, decomposed(base, ft, leading=LEADING))
    assert whole.leading == load(tmp_path).leading == LEADING and len(whole.matrices) == 2
    for other in (None, 13):
        with pytest.raises(InputError, match=f"begun with --leading 12, not {other}"):
            decompose_into(tmp_path, base, ft, refs, leading=other)


def test_for_trees_of_ones_own():
    base = {"kernel": np.zeros((300, R), np.float32)}
    update = delta_svd(base, {"kernel": UPDATES["tall"]}, leading=LEADING)
    assert len(update.s["kernel"]) == LEADING
    assert distance(update.params(Level("top_k", k=4))["kernel"], truth(UPDATES["tall"], np.arange(4))) < 1e-6


def test_lengths_are_taken_of_weak_components_alone(monkeypatch):
    """The saving: √λ serves the strong ones."""
    taken = []
    real = gram.lengths
    from jaxtrunc.spectral.backends import gram64

    monkeypatch.setattr(gram64, "lengths", lambda x, vectors: (taken.append(vectors.shape[1]), real(x, vectors))[1])
    OnZero(with_spectrum(np.geomspace(1, 1e-2, R), 300, R))
    assert taken == []  # no component is below s₁/256
    s = np.geomspace(1, 1e-4, R)
    OnZero(with_spectrum(s, 300, R))
    assert taken == [int(np.sum(s < 1 / 256))]
