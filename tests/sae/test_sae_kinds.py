"""What each kind reaches on known concepts, through `train_sae`."""

import numpy as np
import pytest
from sae_worlds import trained_on_concepts

from jaxtrunc.sae.metrics import evaluate, mmcs

pytestmark = pytest.mark.slow


def quality(kind: str, **settings) -> tuple[dict, float]:
    concepts, sae = trained_on_concepts(kind, **settings)
    rows = concepts.sample(np.arange(20_000) % 2 == 0, np.random.default_rng(1))
    return evaluate(sae, np.split(rows, 5)).facts(), mmcs(concepts.w.T, sae.w_dec)


def test_batchtopk_keeps_as_many_at_inference_as_it_was_trained_for():
    facts, similarity = quality("batchtopk", k=4)
    assert facts["l0"] == pytest.approx(4, rel=0.1)
    assert facts["fvu"] <= 0.15 and similarity >= 0.97


def test_jumprelu_raises_its_thresholds_while_it_reconstructs():
    """With ε = 0.001 few pre-activations are near a threshold, so 3,000 steps do not bring L0 down to that of the data."""
    facts, _ = quality("jumprelu", l0_coefficient=0.02)
    assert facts["fvu"] <= 0.03 and facts["l0"] <= 35  # all 96 latents have thresholds of 0.001 at the start


def test_standard_finds_the_concepts():
    facts, similarity = quality("standard", l1_coefficient=0.1)
    assert facts["fvu"] <= 0.15 and similarity >= 0.95 and facts["l0"] < 10
