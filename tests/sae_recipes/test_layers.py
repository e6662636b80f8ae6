"""Layers where nobody names them."""

from jaxtrunc.demo import ASSETS
from jaxtrunc.recipes.sae.base import open_base
from jaxtrunc.recipes.sae.layers import default_layers, sites_named


def test_the_published_layers_and_otherwise_even_ones():
    assert default_layers(26) == (5, 10, 15, 20)
    assert default_layers(42) == default_layers(32) == (10, 15, 20, 25, 30)
    assert default_layers(4) == (1, 2) and default_layers(1) == (0,)
    for layers in range(2, 90):
        found = default_layers(layers)
        assert list(found) == sorted(set(found)) and max(found) < layers
        assert min(found) / layers > 0.1 or layers < 6


def test_a_kind_alone_stands_for_its_default_layers():
    base = open_base(str(ASSETS / "model"))
    assert [str(site) for site in sites_named(("attn_out", "resid_post.3"), base)] == ["attn_out.1", "attn_out.2", "resid_post.3"]
