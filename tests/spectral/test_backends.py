"""Every backend against float64 LAPACK, and what the partial ones refuse."""

import numpy as np
import pytest
from matrices import NAME, OnZero, decomposed, distance, gaussian, truth, with_spectrum

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral import Level, plan_levels

COMPLETE = ("gram64", "host", "device")
LEADING = ("randomized", "gram32")
R = 96
UPDATES = {"tall": gaussian(200, R), "wide": gaussian(R, 200), "power law": with_spectrum(np.arange(1, R + 1.0) ** -1, 200, R)}


@pytest.mark.parametrize("shape", UPDATES)
@pytest.mark.parametrize("backend", COMPLETE)
def test_singular_values_and_basis(backend, shape):
    made = OnZero(UPDATES[shape], backend=backend)
    s, basis = made.svd.s, made.svd.basis.astype(np.float64)
    wanted = np.linalg.svd(made.update.astype(np.float64), compute_uv=False)
    assert s.dtype == np.float64
    np.testing.assert_allclose(s, wanted, rtol=1e-11)
    np.testing.assert_allclose(basis.T @ basis, np.eye(R), atol=1e-11)
    assert distance(made.cut("top_k", 9), truth(made.update, np.arange(9))) < 1e-6


@pytest.mark.parametrize("backend", COMPLETE)
def test_a_square_matrix_of_condition_1e5_through_the_thread_pool(backend):
    """Each worker has to work in float64 by itself: √λ of a float64 Gram would be off by 1e-6 here, float32 by 1e-2.

    The spectrum is that of the float32 update itself, from LAPACK in float64.
    """
    updates = {f"{seed}/kernel": with_spectrum(np.geomspace(1, 1e-5, 128), 128, 128, seed) for seed in range(6)}
    base = {path: np.zeros_like(leaf) for path, leaf in updates.items()}
    found = decomposed(base, updates, backend=backend, workers=4)
    for path, update in updates.items():
        wanted = np.linalg.svd(update.astype(np.float64), compute_uv=False)
        assert wanted[0] / wanted[-1] > 8e4
        assert np.max(np.abs(found.matrices[path].s / wanted - 1)) < 1e-10


@pytest.mark.parametrize("backend", LEADING)
def test_leading_components_of_a_partial_backend(backend):
    """Where the leading ones stand clear of the rest."""
    s = np.concatenate([np.linspace(4, 3, 12), np.full(188, 0.05)])
    made = OnZero(with_spectrum(s, 300, 200), backend=backend)
    np.testing.assert_allclose(made.svd.s[:12], s[:12], rtol=1e-3)
    assert made.svd.frobenius == pytest.approx(np.sqrt(np.sum(s**2)), rel=1e-6)
    assert distance(made.cut("top_k", 12), truth(made.update, np.arange(12))) < 1e-3


@pytest.mark.parametrize("operator", ["bottom_k", "drop_top_k", "random_k", "mp_edge", "dg_hard"])
@pytest.mark.parametrize("backend", LEADING)
def test_partial_backends_refuse_what_needs_the_tail(backend, operator):
    s = np.concatenate([np.linspace(4, 3, 12), np.full(188, 0.005)])
    made = OnZero(with_spectrum(s, 300, 200), backend=backend)
    assert len(made.svd.s) < 200
    with pytest.raises(InputError, match=r"(?s)" + operator + r".*gram64"):
        plan_levels(made.decomposition, [operator], [4])


def test_a_k_beyond_the_known_components_is_refused():
    made = OnZero(gaussian(300, 200), backend="randomized")
    with pytest.raises(InputError, match="leading components"):
        made.cut("top_k", 190)
    assert np.array_equal(made.cut("top_k", 200), made.update)


def test_an_unknown_backend_is_named_with_the_nearest():
    with pytest.raises(InputError, match="gram64"):
        decomposed({NAME: UPDATES["tall"]}, {NAME: UPDATES["tall"]}, backend="gram46")


def test_numerical_rank():
    """A merged rank-16 LoRA, and a square Gaussian matrix."""
    base = gaussian(320, 256, 1, std=0.02)
    lora = (gaussian(320, 16, 2, std=0.05) @ gaussian(16, 256, 3, std=0.05)).astype(np.float32)
    merged = decomposed({NAME: base}, {NAME: base + lora}).matrices[NAME]
    assert merged.rank == 16 and len(merged.s) == 256
    assert decomposed({NAME: base}, {NAME: base + gaussian(320, 256, 4)}).matrices[NAME].rank == 256
    square = gaussian(256, 256, 5)
    assert OnZero(square).svd.rank == 256


def test_k_is_capped_at_the_numerical_rank():
    base = gaussian(320, 256, 1, std=0.02)
    ft = base + (gaussian(320, 16, 2, std=0.05) @ gaussian(16, 256, 3, std=0.05)).astype(np.float32)
    from jaxtrunc.spectral import Reconstructor

    rebuild = Reconstructor(decomposed({NAME: base}, {NAME: ft}), {NAME: base}, {NAME: ft})
    for operator in ("top_k", "bottom_k", "random_k"):
        seed = 0 if operator == "random_k" else None
        np.testing.assert_array_equal(rebuild.weights(Level(operator, k=40, seed=seed)).leaves[NAME], ft)
    np.testing.assert_array_equal(rebuild.weights(Level("drop_top_k", k=40)).leaves[NAME], base)
    smallest = rebuild.weights(Level("bottom_k", k=1)).leaves[NAME] - base
    wanted = truth(ft - base, np.array([15]))
    assert np.linalg.norm(smallest - wanted) < 1e-2 * np.linalg.norm(wanted)  # not the storage noise below it


def test_a_zero_update_is_skipped_and_named():
    base = {"a/kernel": gaussian(40, 40), "b/kernel": gaussian(40, 40)}
    ft = {"a/kernel": base["a/kernel"] + 5e-9, "b/kernel": base["b/kernel"] + gaussian(40, 40, 1)}
    for backend in ("gram64", "device"):
        found = decomposed(base, ft, backend=backend)
        assert list(found.matrices) == ["b/kernel"] and list(found.skipped) == ["a/kernel"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_poisoned_update_is_refused_by_name(value):
    ft = {NAME: gaussian(40, 40)}
    ft[NAME][3, 4] = value
    with pytest.raises(InputError, match=NAME):
        decomposed({NAME: gaussian(40, 40)}, ft)


def test_shapes_must_agree():
    with pytest.raises(InputError, match=r"\(40, 41\).*\(40, 40\)"):
        decomposed({NAME: gaussian(40, 41)}, {NAME: gaussian(40, 40)})
    with pytest.raises(InputError, match="not in the fine-tuned model"):
        decomposed({NAME: gaussian(40, 41)}, {})
