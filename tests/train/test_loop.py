"""The loop as a whole: it learns, keeps what it must keep, writes what it must write, and stops when it must."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import CopyStream

from jaxtrunc.core.checkpoints import CheckpointStore
from jaxtrunc.core.errors import InputError, RunFailed
from jaxtrunc.core.mesh import compute_mesh, param_shardings
from jaxtrunc.core.trees import flatten, unflatten
from jaxtrunc.data import TrainBatch
from jaxtrunc.models import leaf_class
from jaxtrunc.train import PretrainSettings, TrainSettings
from jaxtrunc.train.finetune import finetune
from jaxtrunc.train.pretrain import pretrain

QUICK = TrainSettings(learning_rate=1e-2, epochs=1, batch_size=8, log_every=1)


def losses(directory) -> list[float]:
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def bits(params) -> dict[str, bytes]:
    return {path: np.asarray(leaf).tobytes() for path, leaf in flatten(params).items()}


def test_learns_a_tiny_task(params, cfg, execution, tmp_path):
    settings = dataclasses.replace(QUICK, scope="all", beta2=0.95, max_steps=250, epochs=999, log_every=5)
    params = {**params, "layers": jax.tree.map(lambda leaf: 5 * leaf, params["layers"])}  # leave the flat start sooner
    finetune(params, cfg, CopyStream(batches_per_epoch=3), settings, tmp_path, execution=execution)
    curve = losses(tmp_path)
    assert curve[0] == pytest.approx(np.log(cfg.vocab_size), rel=0.1)
    assert curve[-1] < 0.05


def test_frozen_leaves_keep_their_bits_and_the_caller_keeps_the_base(params, cfg, stream, execution, tmp_path):
    before = bits(params)
    tuned = bits(finetune(params, cfg, stream, QUICK, tmp_path, execution=execution))
    assert bits(params) == before
    for path in before:
        assert (tuned[path] != before[path]) == (leaf_class(cfg, path) == "linear"), path


def test_bfloat16_weights_are_trained_in_float32_and_frozen_as_they_are(params, cfg, stream, execution, tmp_path):
    stored = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    tuned = flatten(finetune(stored, cfg, stream, QUICK, tmp_path, execution=execution))
    assert tuned["layers/attn/q_proj/kernel"].dtype == jnp.float32
    assert tuned["embed/embedding"].dtype == jnp.bfloat16


def test_optimiser_state_exists_for_trained_leaves_only(params, cfg, stream, execution, tmp_path):
    finetune(params, cfg, stream, QUICK, tmp_path, execution=execution)
    linear = sum(leaf.size for path, leaf in flatten(params).items() if leaf_class(cfg, path) == "linear")
    with CheckpointStore(tmp_path / "checkpoints") as store:
        saved = store._checkpointer.load(store.steps[-1])
    assert sum(np.size(leaf) for leaf in jax.tree.leaves(saved)) == 3 * linear + 4  # weights, two moments; counts, peak


def test_accumulation_equals_the_large_batch(params, cfg, execution, tmp_path):
    curves = []
    for parts in (1, 4):
        settings = dataclasses.replace(QUICK, accumulation=parts, learning_rate=1e-3)
        finetune(params, cfg, CopyStream(), settings, tmp_path / str(parts), execution=execution)
        curves.append(losses(tmp_path / str(parts)))
    np.testing.assert_allclose(*curves, rtol=1e-4)


def test_accumulation_weighs_targets_not_parts(params, cfg, execution, tmp_path):
    """Rows with few targets must not count more because they share a part with rows that have none."""

    class Uneven(CopyStream):
        def _batch(self, entry) -> TrainBatch:
            batch = super()._batch(entry)
            batch.targets[1::2] = -1
            batch.targets[0] = np.where(np.arange(16) < 9, 5, -1)
            return batch

    curves = []
    for parts in (1, 2):
        settings = dataclasses.replace(QUICK, accumulation=parts, learning_rate=1e-3)
        finetune(params, cfg, Uneven(), settings, tmp_path / str(parts), execution=execution)
        curves.append(losses(tmp_path / str(parts)))
    np.testing.assert_allclose(*curves, rtol=1e-4)


@pytest.mark.slow
def test_remat_changes_nothing(params, cfg, execution, tmp_path):
    results = [finetune(params, cfg, CopyStream(), dataclasses.replace(QUICK, remat=remat, learning_rate=1e-3),
                        tmp_path / str(remat), execution=execution) for remat in (False, True)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), *results)


@pytest.mark.parametrize(("data", "fsdp", "accumulation"), [pytest.param(8, 1, 1, marks=pytest.mark.slow), (2, 4, 2)])
def test_eight_devices_follow_one(params, cfg, execution, tmp_path, data, fsdp, accumulation):
    if jax.device_count() != 8:
        pytest.skip("needs 8 (virtual) devices")
    settings = dataclasses.replace(QUICK, accumulation=accumulation, batch_size=16, learning_rate=1e-3)
    finetune(params, cfg, CopyStream(rows=16), settings, tmp_path / "one", execution=execution)
    mesh = compute_mesh(data, fsdp, 1)
    flat = flatten(params)
    laid_out = unflatten(jax.device_put(flat, param_shardings(mesh, flat)))
    tuned = finetune(laid_out, cfg, CopyStream(rows=16), settings, tmp_path / "eight", execution=execution, mesh=mesh)
    np.testing.assert_allclose(losses(tmp_path / "eight"), losses(tmp_path / "one"), rtol=1e-4)
    kernel, given = (tree["layers"]["mlp"]["up_proj"]["kernel"] for tree in (tuned, laid_out))
    assert kernel.sharding.is_equivalent_to(given.sharding, kernel.ndim)


def test_rows_that_do_not_divide_over_devices_are_refused(params, cfg, stream, execution, tmp_path):
    if jax.device_count() != 8:
        pytest.skip("needs 8 (virtual) devices")
    with pytest.raises(InputError, match="batch_size 12 is not a multiple of 8"):
        finetune(params, cfg, stream, dataclasses.replace(QUICK, batch_size=12), tmp_path, execution=execution,
                 mesh=compute_mesh())


class Poisoned(CopyStream):
    """Batch 7 holds a token whose embedding is infinite."""

    def _batch(self, entry) -> TrainBatch:
        batch = super()._batch(entry)
        if self.position == 7:
            batch.tokens[0, 0] = 23
        return batch


def test_a_loss_that_is_no_number_stops_the_run(params, cfg, execution, tmp_path):
    # With a head of its own, the infinite row is felt where the token stands and nowhere else.
    untied = dataclasses.replace(cfg, tie_embeddings=False)
    flat = flatten(params)
    flat["embed/embedding"] = flat["embed/embedding"].at[23].set(np.inf)
    flat["lm_head/kernel"] = params["embed"]["embedding"].T
    settings = dataclasses.replace(QUICK, checkpoint_every=1)
    with pytest.raises(RunFailed, match=r"loss is not finite .* at step 7, batch rows batch7-row0, .*checkpoint 6 in"):
        finetune(unflatten(flat), untied, Poisoned(), settings, tmp_path, execution=execution)
    with CheckpointStore(tmp_path / "checkpoints") as store:
        assert store.steps == [5, 6]
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(store._checkpointer.load(6)))
    assert len(losses(tmp_path)) == 6


class Accuracies:
    """A validation function that returns given accuracies and remembers the weights it saw."""

    def __init__(self, *values: float):
        self.values, self.seen = list(values), []

    def __call__(self, params) -> float:
        self.seen.append(bits(params))
        return self.values[len(self.seen) - 1]


def test_best_validation_weights_are_returned(params, cfg, stream, execution, tmp_path):
    validate = Accuracies(0.5, 0.9, 0.9, 0.7, 0.6)
    settings = dataclasses.replace(QUICK, eval_every=2, checkpoint_every=1)
    tuned = finetune(params, cfg, stream, settings, tmp_path, execution=execution, validate=validate)
    assert len(validate.seen) == 5
    assert bits(tuned) == validate.seen[1]
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    found = [(line["step"], line["validation_accuracy"]) for line in lines if "validation_accuracy" in line]
    assert found == [(2, 0.5), (4, 0.9), (6, 0.9), (8, 0.7), (10, 0.6)]


def test_last_weights_are_returned_when_asked_for(params, cfg, stream, execution, tmp_path):
    validate = Accuracies(0.9, 0.1)
    settings = dataclasses.replace(QUICK, eval_every=5, keep="last")
    tuned = finetune(params, cfg, stream, settings, tmp_path, execution=execution, validate=validate)
    assert bits(tuned) == validate.seen[-1]


def test_patience_stops_early_and_a_resume_does_not_go_on(params, cfg, execution, tmp_path):
    settings = dataclasses.replace(QUICK, eval_every=1, patience=2)
    validate = Accuracies(0.5, 0.9, 0.8, 0.7, 1.0)
    tuned = finetune(params, cfg, CopyStream(), settings, tmp_path, execution=execution, validate=validate)
    assert len(validate.seen) == 4
    assert bits(tuned) == validate.seen[1]
    again = finetune(params, cfg, CopyStream(), settings, tmp_path, execution=execution, validate=validate, resume=True)
    assert len(validate.seen) == 4
    assert bits(again) == bits(tuned)


def test_resume_is_neither_assumed_nor_given_to_another_run(params, cfg, stream, execution, tmp_path):
    finetune(params, cfg, stream, QUICK, tmp_path, execution=execution)
    with pytest.raises(InputError, match="--resume"):
        finetune(params, cfg, stream, QUICK, tmp_path, execution=execution)
    changed = dataclasses.replace(QUICK, learning_rate=1e-3)
    with pytest.raises(InputError, match=r"learning_rate was 0.01, is 0.001"):
        finetune(params, cfg, stream, changed, tmp_path, execution=execution, resume=True)


def test_metrics_lines(params, cfg, stream, execution, tmp_path):
    finetune(params, cfg, stream, dataclasses.replace(QUICK, log_every=4), tmp_path, execution=execution)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 10]
    for line in lines:
        assert set(line) == {"step", "loss", "gradient_norm", "learning_rate", "tokens_per_second",
                             "model_flops_utilisation"}
        assert all(np.isfinite(value) and value > 0 for value in line.values())


def test_one_compilation_per_batch_shape(params, cfg, execution, tmp_path, caplog):
    params = jax.device_put(params, jax.devices()[0])  # committed, as weights that come from a file
    with jax.log_compiles(), caplog.at_level("WARNING", logger="jax"):
        finetune(params, cfg, CopyStream(), QUICK, tmp_path, execution=execution)
    messages = [record.getMessage() for record in caplog.records]
    assert sum("Finished XLA compilation of jit(step)" in message for message in messages) == 1


@pytest.mark.slow
def test_pretraining_learns_text(cfg, execution, tmp_path):
    settings = PretrainSettings(learning_rate=1e-2, batch_size=8, log_every=1, max_steps=40, epochs=9)
    tuned = pretrain(cfg, CopyStream(dense=True), settings, tmp_path, execution=execution)
    assert losses(tmp_path)[-1] < 0.6 * losses(tmp_path)[0]
    assert set(flatten(tuned)) >= {"embed/embedding", "final_norm/scale"}
