"""Diagnostics against formulas applied directly to NumPy's spectra, and against what storage and noise really do."""

import ml_dtypes
import numpy as np
import pytest
from matrices import NAME, decomposed, gaussian, orthonormal, with_spectrum

from jaxtrunc.core.jsonio import dumps
from jaxtrunc.spectral import diagnostics
from jaxtrunc.spectral.bf16 import bf16_floor, ulp_rms
from jaxtrunc.spectral.diagnostics import spectrum_shape
from jaxtrunc.spectral.intruders import intruder_count
from jaxtrunc.spectral.signflip import largest, signflip_edge

CONTRACT = {"shape", "rank", "frobenius", "stable_rank", "effective_rank", "energy_k", "mp_edge", "dg_hard", "signflip_edge",
            "mp_valid", "bf16_floor", "zero_share", "roundoff_delta"}


def of(base, ft, **options):
    return diagnostics(decomposed({NAME: base}, {NAME: ft}), {NAME: base}, {NAME: ft}, **options)[NAME]


@pytest.fixture(scope="module")
def case():
    base = gaussian(120, 80, 1, 0.02)
    ft = base + with_spectrum(0.3 * np.arange(1, 81.0) ** -1.0, 120, 80)
    return base, ft, of(base, ft, dtype=ml_dtypes.bfloat16)


def test_all_keys_of_the_contract_in_strict_json(case):
    assert set(case[2]) >= CONTRACT
    dumps(case[2])
    assert case[2]["shape"] == [80, 120]  # (out, in), as the tensor of that name is stored


def test_ranks_and_energies_follow_their_formulas(case):
    base, ft, found = case
    s = np.linalg.svd((ft - base).astype(np.float64), compute_uv=False)
    p, q = s**2 / np.sum(s**2), s / np.sum(s)
    expected = {"frobenius": np.linalg.norm(s), "stable_rank": np.sum(s**2) / s[0] ** 2, "effective_rank": np.exp(-q @ np.log(q)),
                "effective_rank_energy": np.exp(-p @ np.log(p)), "participation_ratio": np.sum(s**2) ** 2 / np.sum(s**4),
                "relative_norm": np.linalg.norm(s) / np.linalg.norm(base), "rank": 80}
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-6), key
    for share in (0.5, 0.9, 0.99):
        k = found["energy_k"][str(share)]
        assert p[:k].sum() >= share > p[:k - 1].sum()
    assert found["energy_curve"][-1] == [80, pytest.approx(1)]
    assert dict(map(tuple, found["energy_curve"]))[8] == pytest.approx(p[:8].sum())
    assert found["tail_slope"] == pytest.approx(-1, abs=0.01)
    assert found["spectrum"]["s"] == pytest.approx(s[np.array(found["spectrum"]["index"]) - 1], rel=1e-6)


def test_what_a_partial_backend_does_not_know_is_null(case):
    base, ft, whole = case
    part = decomposed({NAME: base}, {NAME: ft}, backend="gram32")
    partial = spectrum_shape(part.matrices[NAME])
    assert len(part.matrices[NAME].s) == 80 and not part.matrices[NAME].complete  # all there, the tail not trusted
    assert partial["effective_rank"] is None and partial["tail_slope"] is None and partial["participation_ratio"] is None
    assert partial["stable_rank"] == pytest.approx(whole["stable_rank"], rel=1e-3)
    assert partial["energy_k"]["0.9"] == whole["energy_k"]["0.9"]


def test_the_largest_singular_value():
    for shape in ((200, 90), (64, 64), (50, 12)):
        x = gaussian(*shape, seed=shape[0])
        assert largest(x) == pytest.approx(np.linalg.norm(x.astype(np.float64), 2), rel=1e-4)


def test_the_signflip_edge_is_that_of_independent_draws():
    update = gaussian(150, 100, 3) * np.exp(np.random.default_rng(0).standard_normal((150, 1)))
    rng = np.random.default_rng(99)
    draws = [np.linalg.norm(update * rng.choice([-1.0, 1.0], update.shape), 2) for _ in range(200)]
    found = signflip_edge(update, "one")
    assert np.quantile(draws, 0.6) <= found <= max(draws) * 1.01
    assert found == signflip_edge(update, "one") != signflip_edge(update, "two")


@pytest.mark.parametrize("planted", [0.0, 3.0])
def test_a_signal_stands_above_its_signflip_edge(planted):
    x = (orthonormal(300, 1, 1) @ orthonormal(100, 1, 2).T * planted + gaussian(300, 100, 5, 0.02)).astype(np.float32)
    assert (largest(x) > 1.05 * signflip_edge(x, "x")) == bool(planted)


def test_the_bf16_floor_is_the_edge_that_rounding_makes():
    base = gaussian(400, 300, 1, 0.02)
    tuned = base + gaussian(400, 300, 2, 3e-4)
    rounded = tuned.astype(ml_dtypes.bfloat16).astype(np.float32)
    assert bf16_floor(tuned, tuned - base) == pytest.approx(np.linalg.norm((rounded - tuned).astype(float), 2), rel=0.03)


def test_the_spacing_is_that_of_ml_dtypes():
    w = np.abs(gaussian(40, 40, 1, 0.02)).astype(ml_dtypes.bfloat16)
    above = (w.view(np.uint16) + np.uint16(1)).view(ml_dtypes.bfloat16)
    gaps = above.astype(np.float64) - w.astype(np.float64)
    assert ulp_rms(w.astype(np.float32)) == pytest.approx(np.sqrt(np.mean(gaps**2)), rel=1e-12)


def test_updates_below_bf16_have_no_floor_but_a_share():
    base = gaussian(100, 80, 1, 0.02)
    found = of(base, base + gaussian(100, 80, 2, 1e-6))
    assert found["bf16_floor"] is None and found["below_bf16"] > 0.9
    tuned = base + gaussian(100, 80, 2, 3e-5)
    half_ulp = np.ldexp(1.0, np.frexp(np.abs(tuned))[1] - 8) / 2  # 8 bits of significand, the hidden one included
    assert of(base, tuned)["below_bf16"] == pytest.approx(np.mean(np.abs(tuned - base) < half_ulp))


def test_the_slope_is_that_of_the_middle():
    """A spike in front and a cliff behind do not count."""
    s = np.arange(1, 81.0) ** -0.7
    s[0], s[75:] = 50, 1e-3
    made = decomposed({NAME: np.zeros((120, 80), np.float32)}, {NAME: with_spectrum(s, 120, 80)})
    assert spectrum_shape(made.matrices[NAME])["tail_slope"] == pytest.approx(-0.7, abs=0.01)


def test_a_bf16_source_is_found_whatever_the_stored_dtype():
    base = gaussian(100, 80, 1, 0.02)
    tuned = base + gaussian(100, 80, 2, 3e-5)
    assert of(base, tuned)["bf16_source"] is False
    through = [w.astype(ml_dtypes.bfloat16).astype(np.float32) for w in (base, tuned)]
    found = of(*through)
    assert found["bf16_source"] is True
    assert found["zero_share"] == pytest.approx(np.mean(through[0] == through[1]))


def test_roundoff_of_the_fine_tuned_weights(case):
    base, ft, found = case
    cast = ft.astype(ml_dtypes.bfloat16).astype(np.float64)
    assert found["roundoff_delta"] == pytest.approx(np.linalg.norm(cast - ft) / np.linalg.norm(ft - base), rel=1e-5)
    assert of(base, ft)["roundoff_delta"] == 0


@pytest.mark.parametrize("shape", [(120, 60), (60, 120), (60, 60)])
@pytest.mark.parametrize("strength", [0.0, 1.0, 50.0])
def test_intruders_against_a_full_decomposition(shape, strength):
    base = with_spectrum(np.geomspace(10, 1, 60), *shape)
    spikes = (orthonormal(shape[0], 3, 8) * strength) @ orthonormal(shape[1], 3, 9).T
    ft = (base + spikes + gaussian(*shape, 7, 1e-3)).astype(np.float32)
    old, new = (np.linalg.svd(w.T.astype(np.float64), full_matrices=False)[0] for w in (base, ft))  # (out, in), as in the paper
    expected = int(np.sum(np.abs(old.T @ new[:, :10]).max(axis=0) < 0.5))
    assert intruder_count(base, ft) == expected
    assert (expected > 0) == (strength == 50)
