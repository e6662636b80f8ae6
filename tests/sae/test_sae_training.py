"""The training loop: unit rows after every step, resuming without a trace, many devices, refusals."""

import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sae_worlds import Gaussian

from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError, Interrupted, RunFailed
from jaxtrunc.sae.formats import load_sae, save_sae
from jaxtrunc.sae.metrics import evaluate
from jaxtrunc.sae.sae import SAE, reconstruct
from jaxtrunc.sae.sharding import dictionary_mesh
from jaxtrunc.sae.training.buffer import ShuffledBuffer
from jaxtrunc.sae.training.log import TrainingLog
from jaxtrunc.sae.training.loop import train_sae
from jaxtrunc.sae.training.result import trained_sae
from jaxtrunc.sae.training.settings import SAETraining
from jaxtrunc.sae.training.state import first_state
from jaxtrunc.sae.training.step import Measured, train_step

SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("batchtopk", "standard")]  # every kind is compiled for seconds


def small(**changes) -> SAETraining:
    return SAETraining(**{"kind": "topk", "n": 16, "k": 2, "batch": 16, "steps": 130, "warmup": 10, "dead_tokens": 200,
                          "log_every": 10, **changes})


def replacing(kind: str) -> SAETraining:
    """Dead latents begin anew every few steps."""
    return small(kind=kind, resample=3, dead_tokens=48)


def arrays_of(sae: SAE) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(sae)]


@pytest.mark.parametrize("kind", ["topk", "jumprelu", *SLOW])
def test_rows_are_unit_after_every_step_and_the_result_takes_activations_as_they_come(kind, tmp_path):
    settings = replacing(kind)
    buffer = ShuffledBuffer(Gaussian(), d=8, batch=16, batches=100, seed=0)
    mean, square = buffer.moments()
    state = first_state(settings, mean, square, None)
    assert np.isclose(float(state.scale) ** 2 * square, 1) and np.allclose(state.params["b_dec"], state.scale * mean, rtol=1e-5)
    assert np.array_equal(state.params["w_dec"], np.transpose(state.params["w_enc"]))
    for _ in range(6):
        x = next(buffer)
        sae = jax.tree.map(jnp.copy, trained_sae(state, settings))
        state, measured = train_step(state, jnp.asarray(x), settings, None)
        assert np.allclose(np.linalg.norm(state.params["w_dec"], axis=1), 1, atol=1e-5)
    if kind == "batchtopk":
        sae = trained_sae(state, settings)
        assert np.allclose(sae.threshold, state.threshold / state.scale) and state.threshold > 0
    else:  # what the step measured before its update is what the autoencoder does
        found = evaluate(sae, [x]).facts()
        assert np.isclose(found["fvu"], measured.fvu, rtol=1e-4) and np.isclose(found["l0"], measured.l0, rtol=1e-4)
    assert (sae.kind, sae.subtract_b_dec) == ("jumprelu" if kind == "batchtopk" else kind, kind != "jumprelu")
    save_sae(tmp_path / "sae", sae)
    assert np.allclose(reconstruct(load_sae(tmp_path / "sae"), x), reconstruct(sae, x), rtol=1e-4, atol=1e-4)


class Stopping(Gaussian):
    """Asks the process to stop in the midst of the second block."""

    def __next__(self):
        if self.state == 101:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().__next__()


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path):
    whole = train_sae(Gaussian(), small(), tmp_path / "whole", d=8)
    with pytest.raises(Interrupted, match="SIGTERM after step 101 of 130"):
        train_sae(Stopping(), small(), tmp_path / "cut", d=8)
    with pytest.raises(InputError, match="holds checkpoints of an earlier run; --resume"):
        train_sae(Gaussian(), small(), tmp_path / "cut", d=8)
    with pytest.raises(InputError, match="cannot resume with other settings: k was 2, is 3"):
        train_sae(Gaussian(), small(k=3), tmp_path / "cut", d=8, resume=True)
    resumed = train_sae(Gaussian(), small(), tmp_path / "cut", d=8, resume=True)
    assert all(np.array_equal(a, b) for a, b in zip(arrays_of(whole), arrays_of(resumed), strict=True))
    lines = jsonio.read_lines(tmp_path / "cut" / "metrics.jsonl")
    assert [line["step"] for line in lines] == [*range(10, 101, 10), 101, *range(110, 131, 10)]
    assert lines[-1]["fvu"] < lines[0]["fvu"] and all(line["l0"] == 2 for line in lines[-3:])
    unread = Gaussian()
    again = train_sae(unread, small(), tmp_path / "cut", d=8, resume=True)
    assert unread.state <= 200 and all(np.array_equal(a, b) for a, b in zip(arrays_of(whole), arrays_of(again), strict=True))


@pytest.mark.parametrize("kind", ["topk", *SLOW])
def test_eight_devices_give_what_one_gives(kind):
    settings = replacing(kind)
    buffer, mesh = ShuffledBuffer(Gaussian(), d=8, batch=16, batches=100, seed=0), dictionary_mesh()
    one, many = (first_state(settings, *buffer.moments(), where) for where in (None, mesh))
    for _ in range(10):
        x = jnp.asarray(next(buffer))
        one, many = train_step(one, x, settings, None)[0], train_step(many, x, settings, mesh)[0]
    assert all(np.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True))
    for leaf, shape in ((many.params["w_enc"], (8, 2)), (many.optimiser[2][0].mu["w_dec"], (2, 8)), (many.silent, (2,))):
        assert {shard.data.shape for shard in leaf.addressable_shards} == {shape}
    assert many.params["b_dec"].sharding.is_fully_replicated


def test_a_loss_that_is_no_number_is_named_with_its_step(tmp_path):
    log = TrainingLog(tmp_path / "metrics.jsonl", small(), 40)
    for loss in (0.5, 0.4, float("nan"), float("nan")):
        log.add(Measured(*map(jnp.float32, (loss, 0.1, 2, 0))))
    with pytest.raises(RunFailed, match="at step 43"):
        log.flush()
    assert not jsonio.read_lines(tmp_path / "metrics.jsonl")


def test_settings_out_of_range_are_refused():
    for changes, message in (({"k": 17}, "k must be at most n, 16"), ({"steps": 0}, "steps must be at least 1"),
                             ({"buffer_batches": 99}, "buffer_batches must be at least 100"),
                             ({"bandwidth": 0.0}, "bandwidth must be above 0")):
        with pytest.raises(InputError, match=message):
            small(**changes)


def test_all_zero_activations_are_refused(tmp_path):
    class Zeros(Gaussian):
        def __next__(self):
            return 0 * super().__next__()

    with pytest.raises(RunFailed, match="all 1600 activations that were read first are zero"):
        train_sae(Zeros(), small(), tmp_path, d=8)
