"""What the reconstruction promises beyond single cuts: its inputs are checked, its buffers reused, its factors minimal."""

import numpy as np
import pytest
from matrices import NAME, OnZero, decomposed, distance, gaussian, orthonormal, with_spectrum

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral import Level, Reconstructor
from jaxtrunc.spectral.noise import mp_edge

RANK = 16


@pytest.fixture(scope="module")
def merged_lora():
    """A rank-16 update merged into float32 weights: full rank again, by storage noise."""
    base = gaussian(256, 128, std=0.02)
    return {NAME: base}, {NAME: base + with_spectrum(np.linspace(2, 1, RANK), 256, 128)}


def test_a_merged_lora_is_written_with_its_own_rank(merged_lora):
    base, ft = merged_lora
    decomposition = decomposed(base, ft)
    assert decomposition.matrices[NAME].rank == RANK
    for k in (RANK, 100, 128):
        a, b = Reconstructor(decomposition, base, ft).factors(Level("top_k", k=k))[NAME]
        assert a.shape == (RANK, 256) and b.shape == (128, RANK)
        assert distance((b @ a).T, (ft[NAME] - base[NAME]).astype(np.float64)) < 1e-5
    weights = Reconstructor(decomposition, base, ft).weights(Level("top_k", k=RANK)).leaves[NAME]
    np.testing.assert_array_equal(weights, ft[NAME])  # all of the update, storage noise included


def test_bottom_k_of_a_merged_lora_takes_its_own_components_and_no_storage_noise(merged_lora):
    base, ft = merged_lora
    update = Reconstructor(decomposed(base, ft), base, ft).weights(Level("bottom_k", k=4)).leaves[NAME] - base[NAME]
    expected = np.linspace(2, 1, RANK)[-4:]
    np.testing.assert_allclose(np.linalg.svd(update.astype(float), compute_uv=False)[:4], expected, rtol=1e-4)


@pytest.mark.parametrize("side", ["base", "fine-tuned"])
def test_checkpoints_that_changed_since_are_refused(merged_lora, side):
    base, ft = merged_lora
    decomposition = decomposed(base, ft)
    changed = {NAME: (base if side == "base" else ft)[NAME] + np.float32(1e-6)}
    pair = (changed, ft) if side == "base" else (base, changed)
    with pytest.raises(InputError, match=f"{NAME}: the {side} weights are not those that were decomposed"):
        Reconstructor(decomposition, *pair).weights(Level("top_k", k=3))


def test_the_leaves_of_a_level_are_reused_by_the_next():
    made = OnZero(gaussian(64, 48))
    first = made.rebuild.weights(Level("top_k", k=3)).leaves[made.name]
    assert made.rebuild.weights(Level("bottom_k", k=3)).leaves[made.name] is first


def test_the_mp_edge_cut_keeps_a_spike_just_above_its_slack_and_drops_one_just_below():
    noise = gaussian(200, 100, 3).astype(np.float64)
    edge = mp_edge(OnZero(noise.astype(np.float32)).svd)
    u, s, vt = np.linalg.svd(noise, full_matrices=False)
    for factor, kept in ((1.01, 0), (1.05, 1)):
        spiked = (u * np.concatenate([[factor * edge], s[1:]])) @ vt
        made = OnZero(spiked.astype(np.float32))
        assert np.linalg.matrix_rank(made.cut("mp_edge").astype(np.float64), tol=1e-6) == kept


def test_the_energy_in_the_bulk():
    from jaxtrunc.spectral.diagnostics import noise_edges

    spikes = (orthonormal(200, 2, 1) * [3, 2]) @ orthonormal(100, 2, 2).T
    update = (spikes + gaussian(200, 100, 3, 0.01)).astype(np.float32)
    found = noise_edges(OnZero(update).svd)
    s = np.linalg.svd(update.astype(np.float64), compute_uv=False)
    assert found["spikes"] == 2
    assert found["bulk_energy"] == pytest.approx(np.sum(s[2:] ** 2) / np.sum(s**2), rel=1e-6)
