"""The spectral methods against float64 programs that share no line with them, and what must hold of any of them."""

import numpy as np
import ports
import pytest

from jaxtrunc.core.mesh import spectral_mesh
from jaxtrunc.merge import interference, merge, merge_orthogonal
from jaxtrunc.merge.matrix import MatrixPlan, merge_matrix, plan_matrix
from jaxtrunc.merge.settings import MergeSettings

SHAPES = [(24, 18), (18, 24), (16, 16), (40, 7)]
SPECTRAL = ["tsv_merge", "iso_c", "iso_cts", "knots_ties"]
DENSITIES = (0.4, 0.6, 1.0)


def gaussian(shape, count=3, seed=0):
    """Task matrices in our layout (in, out), float32."""
    return list(np.random.default_rng(seed).standard_normal((count, *shape)).astype(np.float32))


def update(method, taus, **settings):
    """What a method adds to a base of zeros."""
    return merge({"kernel": np.zeros_like(taus[0])}, [{"kernel": tau} for tau in taus], method, **settings)["kernel"]


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("method", SPECTRAL)
def test_methods_equal_their_ports(method, shape):
    taus, weights, lam = gaussian(shape), (0.7, 1.0, 1.6), 0.8
    settings = {"density": DENSITIES} if method == "knots_ties" else {}
    found = update(method, taus, weights=weights, lam=lam, **settings)
    theirs = [weight * tau.T.astype(np.float64) for weight, tau in zip(weights, taus, strict=True)]
    expected = ports.knots_ties(theirs, DENSITIES) if method == "knots_ties" else getattr(ports, method)(theirs)
    assert relative(found.T, lam * expected) < 1e-5


def test_tsv_merge_of_four_square_tasks():
    """Here a Gram form drops directions (a relative error of 0.35); the bases of 4 × 32 columns are badly conditioned."""
    taus = gaussian((128, 128), 4)
    assert relative(update("tsv_merge", taus).T, ports.tsv_merge([tau.T.astype(np.float64) for tau in taus])) < 1e-4


def test_interference_is_what_its_definition_says():
    taus = gaussian((20, 12))
    assert interference(taus, 4) == pytest.approx(ports.sti([tau.T.astype(np.float64) for tau in taus], 4), rel=1e-5)
    assert interference(taus[:1], 4) < 1e-6
    apart = [np.zeros((20, 12), np.float32) for _ in range(2)]
    apart[0][:10, :6], apart[1][10:, 6:] = gaussian((10, 6), 2)
    assert interference(apart, 4) < 1e-12 < interference(taus, 4, "pairs") < interference(taus, 4, "none")


@pytest.mark.parametrize("method", ["linear", "knots_ties"])
def test_copies_of_one_task_give_it_back(method):
    tau = gaussian((18, 24), 1)[0]
    assert relative(update(method, [tau] * 3), tau) < 1e-5


def test_copies_through_tsv_merge_are_cut_to_their_rank():
    tau = gaussian((18, 24), 1)[0]
    u, s, vt = np.linalg.svd(tau.astype(np.float64), full_matrices=False)
    assert relative(update("tsv_merge", [tau] * 3), (u[:, :6] * s[:6]) @ vt[:6]) < 1e-5


def test_weights_multiply_task_vectors():
    taus = gaussian((12, 10), 2)
    for method in (*SPECTRAL, "orthogonal"):
        scaled = update(method, [2 * taus[0], 0.5 * taus[1]])
        assert relative(update(method, taus, weights=(2.0, 0.5)), scaled) < 1e-6, method


def test_directions_below_the_cut_are_left_out():
    """Bases that nearly coincide have a singular value just above zero; a cut of 2 > √2 leaves nothing at all."""
    tau = np.diag([3.0, 2.0, 1.0, 0.5]).astype(np.float32)
    near = tau + np.float32(1e-3) * gaussian((4, 4), 1)[0]
    whole, cut = (merge_orthogonal([{"kernel": tau}, {"kernel": near}], rank=2, rcond_sv=rcond)["kernel"] for rcond in (1e-6, 0.1))
    assert np.linalg.matrix_rank(whole, tol=0.1) == 4 and np.linalg.matrix_rank(cut, tol=0.1) == 2
    assert not merge_orthogonal([{"kernel": tau}], rcond_sv=2.0)["kernel"].any()


@pytest.mark.parametrize(("sigma", "level"), [("flat", None), ("ones", 1.0)])
def test_orthogonal_merge_with_a_flat_spectrum(sigma, level):
    taus = gaussian((30, 20), 2)
    s = np.linalg.svd(update("orthogonal", taus, rank=4, sigma=sigma), compute_uv=False)
    level = level or np.mean([np.linalg.svd(tau, compute_uv=False)[:4] for tau in taus])
    np.testing.assert_allclose(s[:8], level, rtol=1e-5)
    assert s[8] < 1e-5


def test_ranks_that_do_not_fit_are_lowered():
    taus = gaussian((12, 9), 3)
    whole = update("tsv_merge", taus)
    for rank in (4, 100, 1.0, "1/T"):
        np.testing.assert_array_equal(update("orthogonal", taus, rank=rank), whole)
    assert np.linalg.matrix_rank(update("orthogonal", taus, rank=2), tol=1e-4) == 6
    assert np.linalg.matrix_rank(update("orthogonal", taus, rank=0.12), tol=1e-4) == 3


def test_a_frozen_task_takes_no_part():
    """A zero task has arbitrary singular vectors, which must not enter the bases of the others."""
    tau = gaussian((16, 12), 1)[0]
    u, s, vt = np.linalg.svd(tau.astype(np.float64), full_matrices=False)
    assert relative(update("tsv_merge", [tau, 0 * tau]), (u[:, :6] * s[:6]) @ vt[:6]) < 1e-5
    for method in SPECTRAL:
        assert not update(method, [0 * tau, 0 * tau]).any()


def test_what_is_no_matrix_is_averaged():
    rng = np.random.default_rng(0)
    task = {"embed": {"embedding": rng.standard_normal((9, 6))}, "norm": {"scale": rng.standard_normal(6)},
            "layers": {"up": {"kernel": rng.standard_normal((2, 6, 8)), "bias": rng.standard_normal((2, 8))}},
            "skipped": {"kernel": rng.standard_normal((6, 8))}, "narrow": {"kernel": rng.standard_normal((6, 1))}}
    other = {"embed": {"embedding": np.ones((9, 6))}, "norm": {"scale": np.ones(6)}, "narrow": {"kernel": np.ones((6, 1))},
             "layers": {"up": {"kernel": np.ones((2, 6, 8)), "bias": np.ones((2, 8))}}, "skipped": {"kernel": np.ones((6, 8))}}
    found = merge_orthogonal([task, other], lam=0.5, exclude="skipped")
    for room, name in (("embed", "embedding"), ("norm", "scale"), ("skipped", "kernel"), ("narrow", "kernel")):
        np.testing.assert_allclose(found[room][name], (task[room][name] + other[room][name]) / 4, rtol=1e-5)
    np.testing.assert_allclose(found["layers"]["up"]["bias"], (task["layers"]["up"]["bias"] + 1) / 4, rtol=1e-5)
    one = [np.float32(tree["layers"]["up"]["kernel"][1]) for tree in (task, other)]
    np.testing.assert_allclose(found["layers"]["up"]["kernel"][1], 0.5 * update("tsv_merge", one), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("method", SPECTRAL)
def test_devices_give_what_threads_give(method):
    """Five matrices over eight devices: the stack is padded, and every one lies whole on its device."""
    kernels = np.random.default_rng(0).standard_normal((3, 5, 10, 8)).astype(np.float32)
    trees = [{"kernel": kernel} for kernel in kernels]
    base = {"kernel": np.zeros((5, 10, 8), np.float32)}
    settings = {"density": 0.5} if method == "knots_ties" else {}
    alone = merge(base, trees, method, **settings)["kernel"]
    spread = merge(base, trees, method, mesh=spectral_mesh(), **settings)["kernel"]
    assert relative(spread, alone) < 1e-5


def test_sharded_trees_come_back_as_they_lay():
    import jax
    from jax.sharding import Mesh, NamedSharding
    from jax.sharding import PartitionSpec as P

    mesh = Mesh(np.array(jax.devices()).reshape(2, 4), ("layer", "width"))
    placing = NamedSharding(mesh, P("layer", None, "width"))
    kernels = np.random.default_rng(0).standard_normal((3, 4, 6, 8)).astype(np.float32)
    placed = [{"kernel": jax.device_put(kernel, placing)} for kernel in kernels]
    found = merge(placed[0], placed[1:], "tsv_merge")["kernel"]
    assert found.sharding == placing
    np.testing.assert_allclose(found, merge({"kernel": kernels[0]}, [{"kernel": k} for k in kernels[1:]], "tsv_merge")["kernel"],
                               rtol=1e-6)


def test_a_stack_on_devices_is_padded_and_cut_again():
    """Three matrices over eight devices, small enough to compile in seconds."""
    from jaxtrunc.merge.devices import merge_stack

    plan = MatrixPlan("tsv_merge", 2, "keep", (), False, 1e-6)
    stack = np.random.default_rng(0).standard_normal((3, 2, 6, 4)).astype(np.float32)
    found = merge_stack(plan, stack, spectral_mesh())
    assert len(found) == 3
    for taus, one in zip(stack, found, strict=True):
        alone = merge_matrix(plan, taus)
        assert relative(one["delta"], alone["delta"]) < 1e-10 and one["rank_used"] == alone["rank_used"] == 4
        np.testing.assert_allclose(one["sti_before"], alone["sti_before"], rtol=1e-8)


@pytest.mark.parametrize("method", ["tsv_merge", "orthogonal", "iso_c", "iso_cts", "knots_ties"])
def test_directions_of_a_frozen_matrix_are_not_measured(method):
    """They are arbitrary: no method may say that they overlap with those of the other task."""
    taus = np.stack([np.zeros((12, 8)), np.random.default_rng(0).normal(size=(12, 8))]).astype(np.float32)
    settings = MergeSettings(method, (1.0, 1.0), (1.0, 1.0))
    plan, _ = plan_matrix(settings, (12, 8))
    found = merge_matrix(plan, taus)
    assert found["sti_before"] == pytest.approx(0, abs=1e-12) and not found["principal"].any()
