"""Scores against torch, independence of padding and batches, and the count of compilations."""

import jax
import numpy as np
import pytest
from tiny_eval import CONFIG, SINGLE, STRINGS, random_params, random_set

from jaxtrunc.core.mesh import compute_mesh
from jaxtrunc.evals import Scorer
from jaxtrunc.models import Execution, to_hf

PARAMS = random_params()


@pytest.fixture(scope="module")
def scorer():
    """One for the module, so that shapes are compiled once."""
    return Scorer(CONFIG, Execution())


@pytest.fixture(scope="module")
def torch_logits():
    """Token ids → (T, V) logits of the same weights in torch."""
    torch = pytest.importorskip("torch")
    from transformers import Qwen2Config, Qwen2ForCausalLM

    model = Qwen2ForCausalLM(Qwen2Config(
        vocab_size=CONFIG.vocab_size, hidden_size=CONFIG.hidden_size, intermediate_size=CONFIG.intermediate_size,
        num_hidden_layers=CONFIG.num_layers, num_attention_heads=CONFIG.num_heads, rms_norm_eps=CONFIG.rms_norm_eps,
        num_key_value_heads=CONFIG.num_kv_heads, rope_theta=CONFIG.rope.theta, tie_word_embeddings=False)).eval()
    model.load_state_dict({name: torch.from_numpy(np.array(tensor)) for name, tensor in to_hf(CONFIG, PARAMS)})

    @torch.no_grad()
    def logits(ids):
        return model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1).numpy()

    return logits


@pytest.mark.parametrize("prefix", [0, 11])
def test_verbalizer_is_torchs_last_position(scorer, torch_logits, prefix):
    rows = random_set(prefix=prefix)
    got = scorer.score(PARAMS, rows)
    want = np.array([torch_logits(each.input_ids)[-1, [7, 11]] for each in rows.encoded])
    np.testing.assert_allclose(got.scores[:, 0] - got.scores[:, 1], want[:, 0] - want[:, 1], atol=1e-4)
    np.testing.assert_allclose(got.mass, np.exp(want).sum(axis=1), atol=1e-5)
    assert got.scores.dtype == np.float32 and np.ptp(got.scores) > 0.5, "the logits hardly differ: the test is too weak"


@pytest.mark.parametrize("scoring", ["likelihood", "likelihood_per_token"])
def test_likelihood_is_torchs_sum_over_the_label_string(scorer, torch_logits, scoring):
    rows = random_set(continuations=STRINGS, scoring=scoring, prefix=9)
    got = scorer.score(PARAMS, rows)
    want = np.array([[sum(torch_logits(each.input_ids + list(label))[len(each.input_ids) - 1 + i, token]
                          for i, token in enumerate(label)) for label in STRINGS] for each in rows.encoded])
    lengths = [len(label) for label in STRINGS] if scoring == "likelihood_per_token" else [1] * 3
    np.testing.assert_allclose(got.scores, want / lengths, atol=1e-4)
    np.testing.assert_allclose(got.mass, np.exp(want).sum(axis=1), atol=1e-5)


def test_a_label_string_of_one_token_is_the_verbalizer(scorer):
    plain = scorer.score(PARAMS, random_set())
    string = scorer.score(PARAMS, random_set(continuations=SINGLE, scoring="likelihood"))
    np.testing.assert_allclose(np.diff(plain.scores), np.diff(string.scores), atol=1e-4)
    np.testing.assert_allclose(plain.mass, string.mass, atol=1e-5)


@pytest.mark.parametrize("scoring", ["verbalizer", "likelihood"])
def test_padding_and_batch_size_change_nothing(scorer, scoring):
    continuations = SINGLE if scoring == "verbalizer" else STRINGS
    make = lambda **how: random_set(continuations=continuations, scoring=scoring, **how)  # noqa: E731
    want = scorer.score(PARAMS, make())
    for how in ({"batch_size": 1}, {"batch_size": 37}, {"devices": 8}):
        got = scorer.score(PARAMS, make(**how))
        np.testing.assert_allclose(got.scores, want.scores, atol=1e-4)
        np.testing.assert_allclose(got.mass, want.mass, atol=1e-4)


def test_nothing_recompiles_between_levels():
    mine, rows, more = Scorer(CONFIG, Execution()), random_set(), random_set(n=20, split="validation", seed=1)
    first = mine.score(PARAMS, rows)
    shapes = {batch.tokens.shape for batch in rows.batches}
    assert mine.compilations == len(shapes) == 1
    shapes |= {batch.tokens.shape for batch in more.batches}
    others = [mine.score(random_params(seed), rows).scores for seed in (1, 2, 3)]
    mine.score(PARAMS, more)
    assert mine.compilations == len(shapes)
    assert all(np.abs(scores - first.scores).max() > 0.1 for scores in others), "weights are arguments, not constants"
    assert (first.predictions == first.scores.argmax(axis=1)).all()


def test_batches_over_a_mesh_give_the_same(scorer):
    if jax.device_count() < 8:
        pytest.skip("needs 8 (virtual) devices")
    rows = random_set(batch_size=6, prefix=8)  # 6 prompts in fewer rows over 8 devices: filled up
    want, got = scorer.score(PARAMS, rows), Scorer(CONFIG, Execution(), compute_mesh()).score(PARAMS, rows)
    np.testing.assert_allclose(got.scores, want.scores, atol=1e-4)
    np.testing.assert_allclose(got.mass, want.mass, atol=1e-5)
