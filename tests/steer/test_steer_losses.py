"""Losses beside torch's own functions and their formulas in float64; objectives by their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pairs import gaussian

from jaxtrunc.steer import loss_pair, losses, objectives

LOGITS = gaussian(2, 5, 7)
LABELS = np.array([[1, 2, -1, 6, -1], [0, -1, -1, -1, 3]], np.int32)


def softmax(logits):
    e = np.exp(logits.astype(np.float64))
    return e / e.sum(-1, keepdims=True)


def test_cross_entropy_and_log_probabilities_are_torchs():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.functional.cross_entropy(torch.tensor(LOGITS).reshape(-1, 7), torch.tensor(LABELS).long().reshape(-1),
                                               ignore_index=-1)
    assert float(losses.cross_entropy(LOGITS, LABELS)) == pytest.approx(float(theirs), rel=1e-6)
    rows = torch.nn.functional.cross_entropy(torch.tensor(LOGITS).movedim(2, 1), torch.tensor(LABELS).long(), ignore_index=-1,
                                             reduction="none").sum(1)
    np.testing.assert_allclose(losses.log_probs(LOGITS, LABELS), -rows, rtol=1e-5)
    assert float(losses.cross_entropy(LOGITS, np.full_like(LABELS, -1))) == 0


def test_divergence():
    reference, mask = gaussian(2, 5, 7, seed=3), LABELS >= 0
    p, q = softmax(reference), softmax(LOGITS)
    assert float(losses.divergence(LOGITS, reference, mask)) == pytest.approx((p * np.log(p / q)).sum(-1)[mask].mean(), rel=1e-5)


def test_preference_losses():
    a, b, ra, rb = (gaussian(4, seed=seed).astype(np.float64) for seed in range(4))
    assert float(losses.npo(a, ra, 0.1)) == pytest.approx(np.mean(20 * np.log(1 + np.exp(0.1 * (a - ra)))), rel=1e-5)
    expected = np.mean(np.log(1 + np.exp(-0.3 * ((a - ra) - (b - rb)))))
    assert float(losses.dpo(a, b, ra, rb, 0.3)) == pytest.approx(expected, rel=1e-5)


def test_misdirection_and_retention_skip_padding():
    hidden, mask = gaussian(2, 5, 7), LABELS >= 0
    direction = losses.control_vector(jax.random.key(0), 7)
    assert float(jnp.linalg.norm(direction)) == pytest.approx(1) and float(direction.min()) >= 0
    expected = np.mean((hidden[mask] - 20 * np.asarray(direction)) ** 2)
    assert float(losses.misdirection(hidden, mask, direction)) == pytest.approx(expected, rel=1e-5)
    assert float(losses.retention(hidden, hidden + 1, mask)) == pytest.approx(100, rel=1e-5)


def test_modalities_add_up_to_the_whole():
    text, codec = losses.by_modality(LOGITS, LABELS, 3)
    assert float(text + codec) == pytest.approx(float(losses.cross_entropy(LOGITS, LABELS)), rel=1e-6)
    only = np.where(LABELS >= 3, LABELS, -1)
    assert float(codec) == pytest.approx(float(losses.cross_entropy(LOGITS, only)) * 2 / 5, rel=1e-6)


def test_unlikelihood_stops_at_its_bound():
    span = np.where(LABELS == 6, LABELS, -1)

    def of(shift):
        return losses.unlikelihood(LOGITS - shift * (np.arange(7) == 6), span, 2.0, 10.0)

    value, slope = jax.value_and_grad(of)(0.0)
    assert float(value) == pytest.approx(-2 * float(losses.cross_entropy(LOGITS, span)), rel=1e-6) and slope < 0
    value, slope = jax.value_and_grad(of)(50.0)
    assert float(value) == -20 and slope == 0


def batch_of(**sides):
    tokens = np.arange(10, dtype=np.int32).reshape(2, 5) % 7
    return {f"{side}_{part}": value for side in sides for part, value in (("tokens", tokens), ("labels", LABELS))}


def model(params, tokens):
    return params["table"][tokens] @ params["head"]


PARAMS = {"table": gaussian(7, 4), "head": gaussian(4, 7, seed=1)}
REFERENCE = np.zeros(2, np.float32)
PAIRS = {
    "npo": (objectives.negative_preference(model), batch_of(forget=0, retain=0) | {"forget_reference": REFERENCE}),
    "safety": (objectives.safety(model, 0.1, 2.0), batch_of(chosen=0, rejected=0, helpful=0) | {
        "chosen_reference": REFERENCE, "rejected_reference": REFERENCE - 1}),
    "modality": (objectives.second_modality(model, 3), {"tokens": np.arange(10).reshape(2, 5) % 7, "labels": LABELS}),
    "hallucination": (objectives.hallucination(model), batch_of(span=0, prefix=0, corrected=0)),
    "rmu": (objectives.rmu(lambda params, tokens: params["table"][tokens], np.full(4, 0.5, np.float32)), {
        **batch_of(forget=0, retain=0), "forget_mask": LABELS >= 0, "retain_mask": LABELS >= 0,
        "retain_hidden": gaussian(2, 5, 4, seed=2)}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_both_gradients_come_from_one_function(name):
    pair, batch = PAIRS[name]
    found = loss_pair(pair)(PARAMS, batch)
    for loss, value, gradient in ((pair.primary, found.primary, found.gradients),
                                  (pair.constraint, found.constraint, found.constraint_grads)):
        assert float(value) == pytest.approx(float(loss(PARAMS, batch)), rel=1e-5)
        step = {key: gaussian(*x.shape, seed=8) for key, x in PARAMS.items()}
        ahead, behind = (loss({key: x + side * 3e-3 * step[key] for key, x in PARAMS.items()}, batch) for side in (1, -1))
        slope = sum(np.sum(np.asarray(gradient[key]) * step[key]) for key in PARAMS)
        assert float(ahead - behind) / 6e-3 == pytest.approx(slope, rel=2e-2, abs=2e-3)
