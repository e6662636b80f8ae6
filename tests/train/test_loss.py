"""The loss against a plain computation that does hold all logits, in float64 NumPy."""


import jax
import numpy as np
import pytest
from tiny import CopyStream

from jaxtrunc.data import TrainBatch
from jaxtrunc.models import Execution, head_logits, hidden_states
from jaxtrunc.train import loss as loss_module
from jaxtrunc.train.batches import step_batch
from jaxtrunc.train.loss import loss_sum


def plain_loss(params, cfg, batch) -> float:
    hidden = hidden_states(params, cfg, batch.tokens, batch.lengths, Execution())
    logits = np.asarray(head_logits(params, cfg, hidden), np.float64)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return -sum(log_p[b, t, batch.targets[b, t]] for b, t in np.argwhere(batch.targets >= 0))


@pytest.mark.parametrize("dense", [False, True])
def test_equals_plain_cross_entropy(params, cfg, execution, dense):
    batch = next(CopyStream(dense=dense))
    ready = step_batch(batch)
    assert (ready.positions is None) == dense
    assert float(loss_sum(params, cfg, ready, execution)) == pytest.approx(plain_loss(params, cfg, batch), rel=1e-5)


@pytest.mark.parametrize(("dense", "scan", "remat"), [(False, False, False), (False, True, True), (True, True, False)])
def test_a_prefix_computed_once_is_one_in_every_row(params, cfg, dense, scan, remat):
    """Loss and gradient, as if each row had its own copy of the first tokens."""
    batch = next(CopyStream(dense=dense, prefix=11))
    rows = len(batch.tokens)
    whole = TrainBatch(np.concatenate([np.repeat(batch.prefix[None], rows, axis=0), batch.tokens], axis=1), batch.lengths + 11,
                       np.pad(batch.targets, ((0, 0), (11, 0)), constant_values=-1), batch.ids)
    execution = Execution(scan=scan, remat=remat)
    both = jax.jit(jax.value_and_grad(lambda params, batch: loss_sum(params, cfg, batch, execution)))
    (loss, gradient), (expected, other) = (both(params, step_batch(each)) for each in (batch, whole))
    assert float(loss) == pytest.approx(float(expected), rel=2e-6)
    alone = TrainBatch(batch.tokens, batch.lengths, batch.targets, batch.ids)
    assert abs(float(loss_sum(params, cfg, step_batch(alone), execution)) - float(loss)) > 1e-3, "the prefix matters"
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), gradient, other)


@pytest.mark.parametrize("chunk", [8, 40])
def test_chunks_change_nothing(params, cfg, execution, monkeypatch, chunk):
    batch = step_batch(next(CopyStream(dense=True)))
    def both():
        return jax.value_and_grad(loss_sum)(params, cfg, batch, execution)
    whole, whole_gradient = both()
    monkeypatch.setattr(loss_module, "CHUNK", chunk)
    cut, cut_gradient = both()
    assert float(cut) == pytest.approx(float(whole), rel=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), cut_gradient, whole_gradient)


def test_only_target_positions_reach_the_head(params, cfg, execution):
    """No array of the compiled fine-tuning loss has sequence × vocabulary elements."""
    batch = step_batch(next(CopyStream(rows=8, length=64)))
    assert batch.labels.shape == (8, 2)
    jaxpr = jax.make_jaxpr(lambda params: loss_sum(params, cfg, batch, execution))(params)
    shapes = {tuple(variable.aval.shape) for equation in jaxpr.jaxpr.eqns for variable in equation.outvars}
    assert (8, 2, cfg.vocab_size) in shapes
    assert not any(shape[-1:] == (cfg.vocab_size,) and 64 in shape for shape in shapes)


def test_rows_without_targets_and_filler_rows_count_nothing(params, cfg, execution):
    batch = next(CopyStream())
    short = TrainBatch(batch.tokens[:4], batch.lengths[:4], batch.targets[:4], batch.ids[:4])
    filled = TrainBatch(batch.tokens, batch.lengths.copy(), batch.targets.copy(), batch.ids)
    filled.targets[4:] = -1
    filled.lengths[6:] = 1
    both = [float(loss_sum(params, cfg, step_batch(b), execution)) for b in (short, filled)]
    assert both[1] == pytest.approx(both[0], rel=1e-5)


def test_positions_are_few_shapes(params):
    """The number of gathered positions is a power of two; from half the row on, every position is taken."""
    widths = set()
    for count in range(1, 17):
        targets = np.full((2, 16), -1, np.int32)
        targets[0, 16 - count:] = 5
        batch = step_batch(TrainBatch(targets * 0, np.array([16, 1], np.int32), targets, ("full", "filler")))
        widths.add(batch.labels.shape[1])
        assert int((batch.labels >= 0).sum()) == count
    assert widths == {1, 2, 4, 8, 16}
