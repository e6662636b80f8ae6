"""All four formats give the same object; what it computes is what NumPy computes from the definitions; folding changes no x̂."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import sae_files as files
from safetensors.numpy import load_file, save_file

from jaxtrunc.core.errors import InputError
from jaxtrunc.sae.fold import fold_scales
from jaxtrunc.sae.formats import load_sae, save_sae
from jaxtrunc.sae.sae import decode, encode, reconstruct
from jaxtrunc.sae.sites import Site

ARRAYS, X = files.random_arrays(), files.activations()
NORMS = np.linalg.norm(ARRAYS["w_dec"], axis=1)
SCALE = files.llama_scope_scale()
SITES = {"gemma_scope": "resid_post.5", "llama_scope": "resid_post.8", "sparsify": "mlp_out.2", "old": "resid_post.3"}


def expected(name):
    """Activations and reconstruction as the file means them, without folding."""
    if name == "llama_scope":
        return files.expected(files.llama_scope_arrays(ARRAYS), X, "jumprelu", scale=SCALE, subtract=False)
    kind = {"gemma_scope": "jumprelu", "raw_input": "standard"}.get(name, name if name in files.KINDS else "topk")
    subtract, by_norm = name not in ("gemma_scope", "raw_input"), name == "by_norm"
    a, reconstruction = files.expected(ARRAYS, X, kind, subtract=subtract, by_norm=by_norm)
    return a * (NORMS if by_norm else 1), reconstruction


def assert_computes(sae, a, reconstruction):
    np.testing.assert_allclose(encode(sae, X), a, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(decode(sae, jnp.asarray(a, jnp.float32)), reconstruction, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(reconstruct(sae, X), reconstruction, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", files.WRITERS)
def test_what_a_file_computes(tmp_path, name):
    folder = files.WRITERS[name](tmp_path, ARRAYS)
    sae = load_sae(folder, fold=False)
    assert (sae.d, sae.n) == (files.D, files.N)
    assert sae.facts["site"] == SITES.get(name, "resid_post.3") and sae.facts["id"].startswith("sha256:")
    a, reconstruction = expected(name)
    assert 0 < (a > 0).mean() < 0.6
    assert_computes(sae, a, reconstruction)


@pytest.mark.parametrize("name", files.WRITERS)
def test_folding_gives_unit_rows_and_the_same_reconstruction(tmp_path, name):
    sae = load_sae(files.WRITERS[name](tmp_path, ARRAYS))
    a, reconstruction = expected(name)
    if sae.kind == "topk" and name != "by_norm":
        np.testing.assert_array_equal(sae.w_dec, ARRAYS["w_dec"])
    else:
        np.testing.assert_allclose(np.linalg.norm(sae.w_dec, axis=1), 1, atol=1e-6)
        a = a * (NORMS if name != "by_norm" else 1)
    assert_computes(sae, a, reconstruction)


def test_topk_in_units_of_decoder_rows_is_folded_unasked(tmp_path):
    assert ((expected("by_norm")[0] > 0) != (expected("topk")[0] > 0)).any()
    sae = load_sae(files.WRITERS["by_norm"](tmp_path, ARRAYS), fold=False)
    np.testing.assert_allclose(np.linalg.norm(sae.w_dec, axis=1), 1, atol=1e-6)


def test_decoder_rows_of_norm_zero_stay(tmp_path):
    arrays = ARRAYS | {"w_dec": ARRAYS["w_dec"] * (np.arange(files.N) != 3)[:, None]}
    sae = load_sae(files.write_saelens(tmp_path, arrays, "jumprelu"))
    a, reconstruction = files.expected(arrays, X, "jumprelu")
    np.testing.assert_allclose(reconstruct(sae, X), reconstruction, atol=1e-5)
    np.testing.assert_allclose(encode(sae, X)[:, 3], a[:, 3], atol=1e-6)


def test_scales_can_be_put_into_the_weights(tmp_path):
    """Into W_enc and W_dec, as SAELens does it, or into the biases: x̂ is the same."""
    sae = load_sae(files.write_llama_scope(tmp_path, ARRAYS), fold=False)
    arrays = files.llama_scope_arrays(ARRAYS)
    _, weights = files.expected(arrays | {"w_enc": arrays["w_enc"] * SCALE, "w_dec": arrays["w_dec"] / SCALE,
                                          "b_dec": arrays["b_dec"] / SCALE}, X, "jumprelu", subtract=False)
    np.testing.assert_allclose(reconstruct(sae, X), weights, atol=1e-5)
    folded = fold_scales(sae)
    assert folded.input_scale == folded.output_scale == 1
    np.testing.assert_array_equal(folded.w_enc, sae.w_enc)
    np.testing.assert_allclose(reconstruct(folded, X), weights, atol=1e-5)
    np.testing.assert_allclose(SCALE * encode(folded, X), encode(sae, X), atol=1e-5)


@pytest.mark.parametrize("name", files.WRITERS)
def test_saved_ones_load_as_they_were(tmp_path, name):
    sae = load_sae(files.WRITERS[name](tmp_path / "theirs", ARRAYS), fold=False)
    save_sae(tmp_path / "ours", sae)
    again = load_sae(tmp_path / "ours", fold=False)
    assert sorted(file.name for file in (tmp_path / "ours").iterdir()) == ["cfg.json", "sae_weights.safetensors"]
    assert (again.kind, again.k, again.subtract_b_dec) == (sae.kind, sae.k, sae.subtract_b_dec)
    assert again.facts["site"] == sae.facts["site"] and again.facts["format"] == "saelens"
    np.testing.assert_allclose(reconstruct(again, X), reconstruct(sae, X), atol=1e-6)
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(fold_scales(sae)), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(InputError, match="overwritten"):
        save_sae(tmp_path / "ours", sae)


def test_files_that_begin_with_another_letter_or_type(tmp_path):
    """Gemma Scope has also `w_enc`; bfloat16 and float64 become float32; a logarithm of the threshold is taken back."""
    lower = load_sae(files.write_gemma_scope(tmp_path / "a", ARRAYS, w_enc="w_enc", w_dec="w_dec"), fold=False)
    np.testing.assert_array_equal(lower.w_enc, ARRAYS["w_enc"])
    for kind in (ml_dtypes.bfloat16, np.float64):
        stored = {name: array.astype(kind) for name, array in ARRAYS.items()}
        sae = load_sae(files.write_llama_scope(tmp_path / np.dtype(kind).name, stored), fold=False)
        assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(sae))
        np.testing.assert_array_equal(sae.w_dec, stored["w_dec"].astype(np.float32))
    folder = files.write_saelens(tmp_path / "log", ARRAYS, "jumprelu")
    tensors = load_file(folder / "sae_weights.safetensors")
    save_file(tensors | {"log_threshold": np.log(tensors.pop("threshold"))}, folder / "sae_weights.safetensors")
    np.testing.assert_allclose(load_sae(folder, fold=False).threshold, ARRAYS["threshold"], rtol=1e-6)


def test_an_expansion_factor_gives_the_width(tmp_path):
    arrays = files.random_arrays(n=3 * files.D)
    assert load_sae(files.write_sparsify(tmp_path, arrays, num_latents=0, expansion_factor=3)).n == 3 * files.D


def test_a_site_that_the_files_leave_open_is_the_one_asked_for(tmp_path):
    folder = files.write_saelens(tmp_path / "a", ARRAYS, "standard", metadata={})
    assert "site" not in load_sae(folder).facts
    assert load_sae(folder, site=Site("mlp_out", 7)).facts["site"] == "mlp_out.7"


def test_a_file_in_the_hub_cache_is_followed_into_its_blobs(tmp_path):
    folder = files.write_saelens(tmp_path / "snapshots" / "a1b2" / "layer_3", ARRAYS, "standard")
    blob = tmp_path / "blobs" / "c3d4"
    blob.parent.mkdir()
    (folder / "sae_weights.safetensors").rename(blob)
    (folder / "sae_weights.safetensors").symlink_to(blob)
    assert load_sae(folder).n == files.N


def test_another_k_makes_another_autoencoder_of_the_same_weights(tmp_path):
    folder = files.WRITERS["topk"](tmp_path, ARRAYS)
    before = load_sae(folder)
    text = (folder / "cfg.json").read_text()
    assert f'"k": {before.k}' in text
    (folder / "cfg.json").write_text(text.replace(f'"k": {before.k}', f'"k": {before.k + 1}'))
    after = load_sae(folder)
    assert after.k != before.k and after.facts["id"] != before.facts["id"]
    assert after.facts["id"] == load_sae(folder).facts["id"]
