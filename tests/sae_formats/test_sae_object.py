"""The object itself: a pytree under jit and vmap, ties, sharding over the dictionary, sites."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sae_files as files

from jaxtrunc.core.errors import InputError
from jaxtrunc.sae.sae import SAE, decode, encode, reconstruct
from jaxtrunc.sae.sharding import dictionary_mesh, divided, sae_shardings
from jaxtrunc.sae.sites import Site, parse_site, writers


def random_sae(kind, n=32, **settings):
    own = ("w_enc", "w_dec", "b_dec", "b_enc", *files.OWN[kind])
    arrays = {name: jnp.asarray(array) for name, array in files.random_arrays(n=n).items() if name in own}
    return SAE(**arrays, kind=kind, k=files.K if kind == "topk" else None, subtract_b_dec=True, **settings)


@pytest.mark.parametrize("kind", files.KINDS)
def test_compiled_and_mapped_it_is_the_same(kind):
    sae, x = random_sae(kind), jnp.asarray(files.activations())
    a = encode(sae, x)
    np.testing.assert_allclose(jax.jit(encode)(sae, x), a, atol=1e-6)
    np.testing.assert_allclose(jax.vmap(encode, (None, 0))(sae, x), a, atol=1e-6)
    np.testing.assert_allclose(encode(sae, jnp.stack([x, x]))[1], a, atol=1e-6)
    np.testing.assert_allclose(jax.vmap(decode, (None, 0))(sae, a), reconstruct(sae, x), atol=1e-6)
    gradient = jax.grad(lambda sae: jnp.sum(reconstruct(sae, x)))(sae)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize("kind", files.KINDS)
def test_divided_over_devices_it_is_the_same(kind):
    sae, x, mesh = random_sae(kind), jnp.asarray(files.activations()), dictionary_mesh()
    there = divided(sae, mesh)
    assert {leaf.sharding.shard_shape(leaf.shape)[0] for leaf in (there.w_dec, there.b_enc)} == {32 // jax.device_count()}
    assert there.w_enc.sharding.shard_shape((files.D, 32)) == (files.D, 32 // jax.device_count())
    a = jax.jit(encode)(there, x)
    np.testing.assert_allclose(a, encode(sae, x), atol=1e-6)
    np.testing.assert_allclose(jax.jit(reconstruct)(there, x), reconstruct(sae, x), atol=1e-5)
    assert not a.sharding.is_fully_replicated


def test_a_dictionary_that_does_not_divide_stays_whole():
    shardings = sae_shardings(dictionary_mesh(), random_sae("jumprelu", n=30))
    assert all(sharding.is_fully_replicated for sharding in jax.tree.leaves(shardings))


def test_of_equal_latents_the_first_are_kept():
    sae = random_sae("topk", n=8)
    sae = replace(sae, w_enc=jnp.zeros_like(sae.w_enc), b_enc=jnp.array([0.0, 1, 2, 1, 1, -1, 2, 1]))
    np.testing.assert_array_equal(encode(sae, jnp.ones(files.D)), [0, 1, 2, 1, 0, 0, 2, 0])
    np.testing.assert_array_equal(encode(replace(sae, k=8), jnp.ones(files.D)), [0, 1, 2, 1, 1, 0, 2, 1])


def test_a_latent_at_its_threshold_is_silent():
    sae = random_sae("jumprelu", n=8)
    sae = replace(sae, w_enc=jnp.zeros_like(sae.w_enc), b_enc=jnp.full(8, 0.5), threshold=jnp.array([0.5, 0.4] * 4))
    np.testing.assert_array_equal(encode(sae, jnp.ones(files.D)), [0, 0.5] * 4)


def test_sites_have_names():
    assert parse_site("resid_post.3") == Site("resid_post", 3) and str(Site("attn_out", 12)) == "attn_out.12"
    assert parse_site("resid_pre.3") == Site("resid_post", 2)
    assert [writers(Site(kind, 1)) for kind in ("resid_post", "attn_out", "mlp_out")] == [("o", "down"), ("o",), ("down",)]


@pytest.mark.parametrize(("name", "words"), [
    ("resid_pre.0", "embedding"), ("resid_pst.3", "resid_post"), ("resid_post", "KIND.LAYER"), ("resid_post.-1", "KIND.LAYER"),
    ("resid_post.03", "KIND.LAYER"), ("resid_post.3.1", "KIND.LAYER"), ("../x.3", "KIND.LAYER"), ("mlp_in.2", "mlp_out")])
def test_names_of_no_site_are_refused(name, words):
    with pytest.raises(InputError, match=words):
        parse_site(name)


def test_no_matrix_writes_before_the_output_projection():
    with pytest.raises(InputError, match=r"attn_z\.5.*resid_post\.5"):
        writers(parse_site("attn_z.5"))
