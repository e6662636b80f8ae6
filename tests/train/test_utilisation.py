"""Utilisation: the arithmetic a step needs, against the compiler's own count, and the peak it is divided by."""

import dataclasses
import json
from functools import partial

import jax
import numpy as np
import pytest
from tiny import CopyStream

from jaxtrunc.core import peak
from jaxtrunc.core.mesh import compute_mesh
from jaxtrunc.models import Execution, init_params, leaf_class
from jaxtrunc.train import TrainSettings
from jaxtrunc.train.batches import step_batch
from jaxtrunc.train.finetune import finetune
from jaxtrunc.train.loss import loss_sum
from jaxtrunc.train.scope import merge, split
from jaxtrunc.train.utilisation import Work

QUICK = {"xla_backend_optimization_level": 0}  # machine code of a program that is never run


@pytest.fixture(scope="module")
def wide():
    """Wide enough for the matrix products to be nearly all of the work."""
    from tiny import CONFIG

    return dataclasses.replace(CONFIG, vocab_size=640, hidden_size=128, intermediate_size=256, num_layers=2, num_heads=4,
                               num_kv_heads=2, head_dim=32)


class Full(CopyStream):
    """Rows without padding."""

    def _batch(self, entry):
        batch = super()._batch(entry)
        return dataclasses.replace(batch, lengths=np.full_like(batch.lengths, self.length))


def counted(function, *arguments) -> float:
    """Operations of the optimised program, as XLA counts them."""
    return jax.jit(function, compiler_options=QUICK).lower(*arguments).compile().cost_analysis()["flops"]


@pytest.mark.parametrize(("scope", "prefix"), [("linear", 12), ("all", 0)])
def test_it_is_what_the_compiler_counts(wide, scope, prefix):
    params, batch = init_params(wide, jax.random.key(0)), next(Full(length=32, prefix=prefix))
    placed, execution = step_batch(batch), Execution(scan=False)
    loss = partial(loss_sum, cfg=wide, batch=placed, execution=execution)
    trained, frozen = split(params, lambda path: leaf_class(wide, path), scope)
    forward = counted(lambda trained: loss(merge(trained, frozen)), trained)
    backward = counted(jax.value_and_grad(lambda trained: loss(merge(trained, frozen))), trained)
    assert Work(wide, execution, 1, 1).of(batch) == pytest.approx(forward, rel=0.08)
    assert Work(wide, execution, 3, 3 if scope == "all" else 2).of(batch) == pytest.approx(backward, rel=0.12)


def test_padding_and_filler_rows_are_no_work(wide):
    work, batch = Work(wide, Execution(), 3, 2), next(Full(length=32))
    half = dataclasses.replace(batch, lengths=np.full_like(batch.lengths, 16), targets=np.where(np.arange(32) < 16, 1, -1) *
                               np.ones((8, 1), int))
    short = dataclasses.replace(half, tokens=half.tokens[:, :16], targets=half.targets[:, :16])
    fewer = dataclasses.replace(batch, ids=batch.ids[:5], targets=np.where(np.arange(8)[:, None] < 5, batch.targets, -1))
    assert work.of(half) == work.of(short) < work.of(batch)
    assert work.of(fewer) == pytest.approx(5 / 8 * work.of(batch))


def test_the_peak_is_that_of_the_devices_together(monkeypatch):
    assert peak.device_flops("float32") > 1e8 and peak.device_flops("float32") == peak.device_flops("float32")
    monkeypatch.setattr(peak, "device_flops", lambda dtype: 7.0)
    assert peak.peak_flops("float32", None) == peak.peak_flops("float32", compute_mesh()) == 7.0  # CPU devices share their cores


def test_seconds_per_product_give_the_peak(monkeypatch):
    monkeypatch.setattr(peak, "_best", lambda run: 0.5)
    monkeypatch.setitem(peak.SIDES, "cpu", 64)
    assert peak.device_flops.__wrapped__("bfloat16") == 2 * 64**3 / 0.5


def test_the_run_says_its_speed(params, cfg, execution, tmp_path, capsys):
    settings = TrainSettings(learning_rate=1e-3, epochs=1, batch_size=8, log_every=2)
    finetune(params, cfg, CopyStream(), settings, tmp_path, execution=execution)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert all(0 < line["model_flops_utilisation"] < 1 for line in lines)
    said = capsys.readouterr().err.splitlines()[-1]
    tokens = np.median([line["tokens_per_second"] for line in lines])
    assert said.startswith(f"fine-tuning: {tokens:,.0f} tokens/s, ") and "% of what this machine reaches" in said
