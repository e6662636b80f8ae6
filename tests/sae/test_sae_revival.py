"""Dead latents (criterion 7): which of them AuxK brings back, and which only a new beginning does."""

import jax.numpy as jnp
import numpy as np
import pytest
from sae_worlds import concept_data, trained

from jaxtrunc.sae.metrics import evaluate
from jaxtrunc.sae.training.result import trained_sae
from jaxtrunc.sae.training.settings import SAETraining

pytestmark = pytest.mark.slow

PLANTED = np.arange(64) < 16


def small_columns(state):
    factor = jnp.where(jnp.asarray(PLANTED), 0.02, 1)
    return state._replace(params=state.params | {"w_enc": state.params["w_enc"] * factor})


def low_biases(state):
    return state._replace(params=state.params | {"b_enc": jnp.where(jnp.asarray(PLANTED), -5.0, 0)})


def planted_run(change, **settings) -> tuple[int, int]:
    """Of the 16 planted latents: how many ever fired in 1,500 steps, how many fire on new data after them."""
    settings = SAETraining(**{"kind": "topk", "n": 64, "k": 4, "batch": 256, "steps": 1500, "warmup": 100,
                              "dead_tokens": 10_000, **settings})
    concepts, buffer = concept_data(0, settings)
    ever = np.zeros(64, bool)

    def watch(state):
        replaced = settings.resample and int(state.step) % settings.resample == 0
        return ever if replaced else np.logical_or(ever, np.asarray(state.silent) == 0, out=ever)

    state, _ = trained(settings, buffer, change, watch)
    rows = concepts.sample(np.arange(20_000) % 2 == 0, np.random.default_rng(1))
    at_end = evaluate(trained_sae(state, settings), [rows]).firing > 0
    return int(ever[PLANTED].sum()), int(at_end[PLANTED].sum())


def test_auxk_brings_back_latents_whose_encoder_is_small():
    assert planted_run(small_columns)[1] >= 12
    assert planted_run(small_columns, aux_coefficient=0.0)[1] <= 3


def test_only_resampling_brings_back_latents_whose_bias_is_low():
    assert planted_run(low_biases) == (0, 0)
    assert planted_run(low_biases, resample=250)[0] == 16
