"""A tied head is one leaf: cut on request as the embedding it is, once and for both of its roles, else left alone."""

import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from little import rewrite, updated
from safetensors.numpy import load_file

from jaxtrunc.cli import main
from jaxtrunc.core.rundir import open_run
from jaxtrunc.demo import ASSETS
from jaxtrunc.models import head_logits, hidden_states
from jaxtrunc.recipes.decompose import stored_decomposition
from jaxtrunc.recipes.levels import LevelWeights
from jaxtrunc.recipes.pair import recall_pair
from jaxtrunc.spectral import Level

EMBEDDING, K = "model.embed_tokens.weight", 5
TOKENS = np.random.default_rng(0).integers(3, 800, (2, 12))


def with_embedding(name, array):
    """The update of `updated`, and one of the embedding."""
    if name != EMBEDDING:
        return updated(name, array)
    rng = np.random.default_rng(1)
    left, right = (rng.standard_normal((side, 96)).astype(np.float32) for side in array.shape)
    return array + 1e-3 * (left * 0.9 ** np.arange(96, dtype=np.float32)) @ right.T


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of a base with a tied head and of a model in which the embedding was trained too."""
    folder = tmp_path_factory.mktemp("tied")
    for side in ("base", "ft"):
        shutil.copytree(ASSETS / "model", folder / side)
    rewrite(folder / "ft", with_embedding)
    return folder


def stored(models, side) -> dict[str, np.ndarray]:
    return load_file(models / side / "model.safetensors")


def truncated(models, name=EMBEDDING) -> np.ndarray:
    """W(K) of one tensor, by LAPACK in float64."""
    base, ft = (stored(models, side)[name].astype(np.float64) for side in ("base", "ft"))
    u, s, vt = np.linalg.svd(ft - base, full_matrices=False)
    return base + (u[:, :K] * s[:K]) @ vt[:K]


def decomposed(models, name, *flags):
    """A run directory, its decomposition, and the parameters of top_k at K with their configuration."""
    path = models / name
    main(["decompose", "--base-model", str(models / "base"), "--model", str(models / "ft"), "--out-path", str(path), *flags, "-q"])
    run = open_run(path, "decomposition", "decompose")
    pair = recall_pair(run)
    decomposition = stored_decomposition(run, pair)
    params = LevelWeights(pair, decomposition, "ft", None).at(Level("top_k", k=K)).params
    return path, decomposition, params, pair.cfg


def torch_logits(models, weights: dict[str, np.ndarray]) -> np.ndarray:
    """Of transformers, with these tensors in place of those of the fine-tuned model."""
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(models / "ft", dtype=torch.float32, attn_implementation="eager").eval()
    assert model.get_parameter("lm_head.weight") is model.get_parameter(EMBEDDING)
    with torch.no_grad():
        for name, tensor in weights.items():
            model.get_parameter(name).copy_(torch.tensor(tensor, dtype=torch.float32))
        return model(torch.tensor(TOKENS)).logits.numpy()


def logits(params, cfg) -> np.ndarray:
    hidden = hidden_states(params, cfg, jnp.asarray(TOKENS), jnp.full(len(TOKENS), TOKENS.shape[1]))
    return np.asarray(head_logits(params, cfg, hidden))


def test_on_request_it_is_cut_once_and_for_both_roles(models):
    path, decomposition, params, cfg = decomposed(models, "cut", "-i", "embed_tokens")
    assert list(decomposition.matrices) == [EMBEDDING] and "lm_head" not in params
    wanted = truncated(models)
    change = np.linalg.norm(wanted - stored(models, "ft")[EMBEDDING])
    assert np.linalg.norm(params["embed"]["embedding"] - wanted) < 1e-5 * change
    expected = torch_logits(models, {EMBEDDING: wanted})
    np.testing.assert_allclose(logits(params, cfg), expected, atol=2e-4)
    assert np.abs(torch_logits(models, {}) - expected).max() > 1e-2, "the cut shows in the logits"
    main(["export", str(path), "--rank", str(K), "--format", "hf", "--dtype", "float32", "--out-path", str(models / "out"), "-q"])
    exported = stored(models, "out")
    assert exported.keys() == stored(models, "ft").keys(), "no second copy of the head"
    np.testing.assert_array_equal(exported[EMBEDDING], params["embed"]["embedding"])


def test_without_request_it_is_not_changed_at_all(models):
    _, decomposition, params, cfg = decomposed(models, "left")
    assert EMBEDDING not in decomposition.matrices and "lm_head" not in params
    np.testing.assert_array_equal(params["embed"]["embedding"], stored(models, "ft")[EMBEDDING])
    kernels = {name: truncated(models, name) for name in decomposition.matrices}
    np.testing.assert_allclose(logits(params, cfg), torch_logits(models, kernels), atol=2e-4)
