"""Beside SAELens and sparsify on the same files: their golden values always, themselves where they are installed."""

import json
from pathlib import Path

import numpy as np
import pytest
import sae_files as files

from jaxtrunc.sae.fold import fold_scales
from jaxtrunc.sae.formats import load_sae, save_sae
from jaxtrunc.sae.sae import encode, reconstruct

ARRAYS, X = files.random_arrays(), files.activations()
CASES = json.loads(Path(__file__).with_name("sae_golden.json").read_text())["cases"]
FOLDED = ("standard", "jumprelu", "gated", "by_norm", "raw_input", "gemma_scope", "llama_scope")


def assert_alike(sae, a, reconstruction):
    np.testing.assert_allclose(encode(sae, X), a, atol=1e-5)
    np.testing.assert_allclose(reconstruct(sae, X), reconstruction, atol=1e-5)


def live(name):
    """What computes this directory, or a skip."""
    pytest.importorskip("sparsify" if name == "sparsify" else "sae_lens")
    import sae_peers

    return sae_peers.COMPUTED_BY.get(name, sae_peers.saelens)


@pytest.mark.parametrize("name", files.WRITERS)
def test_golden_values_of_the_authors(tmp_path, name):
    assert_alike(load_sae(files.WRITERS[name](tmp_path, ARRAYS), fold=False), **CASES[name])


@pytest.mark.parametrize("name", files.WRITERS)
def test_the_authors_themselves(tmp_path, name):
    folder = files.WRITERS[name](tmp_path, ARRAYS)
    assert_alike(load_sae(folder, fold=False), *live(name)(folder, X))


@pytest.mark.parametrize("name", FOLDED)
def test_folded_as_saelens_folds(tmp_path, name):
    """SAELens puts the scale of Llama Scope into the weights first, so activations are compared without it."""
    folder = files.WRITERS[name](tmp_path, ARRAYS)
    compute = live(name)
    assert_alike(fold_scales(load_sae(folder)), *compute(folder, X, fold=True))


@pytest.mark.parametrize("name", files.WRITERS)
def test_saelens_opens_what_we_save(tmp_path, name):
    compute = live("ours")
    sae = load_sae(files.WRITERS[name](tmp_path / "theirs", ARRAYS), fold=False)
    save_sae(tmp_path / "ours", sae)
    assert_alike(load_sae(tmp_path / "ours", fold=False), *compute(tmp_path / "ours", X))
