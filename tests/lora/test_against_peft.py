"""Our LoRA against PEFT in torch: the same factors give the same logits, gradients and steps, and travel both ways."""

import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lora_rows import RandomStream, make_batch, noisy

from jaxtrunc.adapters import write_adapter
from jaxtrunc.core.trees import flatten, unflatten
from jaxtrunc.models import Execution, head_logits, hidden_states, load_params
from jaxtrunc.recipes.pair import open_side
from jaxtrunc.train import TrainSettings
from jaxtrunc.train.batches import step_batch
from jaxtrunc.train.lora import SCALE, Adapter, train_lora
from jaxtrunc.train.loss import loss_sum

RANK = 4
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture
def adapter(base):
    return Adapter(base.targets(), RANK)


@pytest.fixture
def factors(adapter):
    return noisy(adapter.start(0, None))


def with_peft(model, adapter, factors):
    """The torch model under PEFT with these factors, all of them trainable."""
    peft = pytest.importorskip("peft")
    import torch

    config = peft.LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=MODULES, lora_dropout=0.0, task_type="CAUSAL_LM")
    model = peft.get_peft_model(model, config).eval()
    with torch.no_grad():
        for name, pair in adapter.by_name(unflatten(factors)).items():
            for side, ours in zip("AB", pair, strict=True):
                torch_factor(model, name, side).copy_(torch.from_numpy(np.array(ours)))
    return model


def torch_factor(model, name, side):
    return model.get_parameter(f"base_model.model.{name.removesuffix('.weight')}.lora_{side}.default.weight")


def torch_loss(model, batch):
    """Mean cross-entropy over the targets."""
    import torch

    logits = torch_forward(model, batch)
    targets = torch.from_numpy(batch.targets.astype(np.int64))
    return torch.nn.functional.cross_entropy(logits[targets >= 0], targets[targets >= 0])


def torch_forward(model, batch):
    import torch

    mask = np.arange(batch.tokens.shape[1]) < batch.lengths[:, None]
    return model(input_ids=torch.from_numpy(batch.tokens.astype(np.int64)),
                 attention_mask=torch.from_numpy(mask.astype(np.int64))).logits


def our_logits(params, base, batch, **execution):
    execution = Execution(**execution)
    hidden = hidden_states(params, base.cfg, batch.tokens, batch.lengths, execution)
    return np.asarray(head_logits(params, base.cfg, hidden, execution=execution))


def assert_same_rows(ours, torchs, batch, atol):
    for row, length in enumerate(batch.lengths):
        np.testing.assert_allclose(ours[row, :length], torchs[row, :length], atol=atol)


@pytest.mark.parametrize("scan", [False, True], ids=["unrolled", "scanned"])
def test_the_same_factors_give_the_same_logits(base, torch_base, adapter, factors, scan):
    batch = make_batch(1)
    plain = torch_forward(torch_base, batch).detach().numpy()
    torchs = torch_forward(with_peft(torch_base, adapter, factors), batch).detach().numpy()
    ours = our_logits(adapter.applied({**base.params, **nested(base, factors)}), base, batch, scan=scan)
    assert_same_rows(ours, torchs, batch, atol=1e-5)
    assert np.abs(torchs - plain).max() > 0.1, "the factors do nothing"


def nested(base, factors):
    return {"layers": unflatten(flatten(base.params) | factors)["layers"]}


@pytest.mark.parametrize("fresh", [True, False], ids=["at the start", "later"])
def test_gradients_are_those_of_autograd(base, torch_base, adapter, factors, fresh):
    factors = adapter.start(0, None) if fresh else factors
    batch = make_batch(2)
    model = with_peft(torch_base, adapter, factors)
    torch_loss(model, batch).backward()

    def loss(factors):
        params = adapter.applied(unflatten(flatten(base.params) | factors))
        return loss_sum(params, base.cfg, step_batch(batch), Execution()) / (batch.targets >= 0).sum()

    gradients = adapter.by_name(unflatten(jax.jit(jax.grad(loss))(factors)))
    assert len(gradients) == 7 * base.cfg.num_layers
    for name, pair in gradients.items():
        for side, ours in zip("AB", pair, strict=True):
            theirs = torch_factor(model, name, side).grad.numpy()
            np.testing.assert_allclose(ours, theirs, atol=1e-5 * max(1, np.abs(theirs).max()), err_msg=f"{name} {side}")
            assert (fresh and side == "A") == (not ours.any())  # dL/dA is zero while B is


def test_steps_of_adamw_are_those_of_torch(base, torch_base, tmp_path):
    """With an epsilon of 1e-3, so that rounding in entries whose gradient is nearly zero is not blown up to whole steps."""
    import torch

    adapter, steps = Adapter(base.targets(), RANK), 6
    settings = TrainSettings(learning_rate=1e-2, schedule="constant", warmup_share=0, weight_decay=0.1, clip=None, epochs=9,
                             max_steps=steps, batch_size=8, keep="last", seed=4, epsilon=1e-3)
    stream = RandomStream()
    model = with_peft(torch_base, adapter, adapter.start(4, None))
    params = train_lora(base.params, base.cfg, adapter, stream, settings, tmp_path, execution=Execution())
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-2, weight_decay=0.1, eps=1e-3)
    for seed in stream.seen[:steps]:
        optimiser.zero_grad()
        torch_loss(model, make_batch(seed)).backward()
        optimiser.step()
    moved = 0.0
    start = adapter.by_name(unflatten(adapter.start(4, None)))
    for name, pair in adapter.by_name(params).items():
        for side, ours, before in zip("AB", pair, start[name], strict=True):
            np.testing.assert_allclose(ours, torch_factor(model, name, side).detach().numpy(), atol=2e-5, err_msg=name)
            moved = max(moved, np.abs(ours - before).max())
    assert moved > 0.03


@pytest.mark.parametrize("layers", [None, (1,)], ids=["all layers", "one of two"])
def test_the_exported_adapter_in_peft_and_back(base, torch_base, tmp_path, layers):
    peft = pytest.importorskip("peft")
    adapter = Adapter(base.targets(layers), 12)  # above the 8 columns of k_proj and v_proj, where it is capped
    factors, batch = noisy(adapter.start(1, None)), make_batch(3)
    ours = our_logits(adapter.applied(unflatten(flatten(base.params) | factors)), base, batch)
    write_adapter(tmp_path / "a", adapter.by_name(unflatten(factors)), base_ref=str(base.folder), title="t", notes="n", scale=SCALE)
    model = peft.PeftModel.from_pretrained(torch_base, tmp_path / "a").eval()
    assert sum("lora_A" in name for name, _ in model.named_parameters()) == 7 * len(layers or range(2))
    assert_same_rows(ours, torch_forward(model, batch).detach().numpy(), batch, atol=2e-5)
    imported = load_params(open_side(f"{base.folder}+{tmp_path / 'a'}").leaves)
    assert_same_rows(our_logits(imported, base, batch), ours, batch, atol=2e-5)
    assert {pair[0].shape[0] for pair in adapter.by_name(unflatten(factors)).values()} == {12, 8}


def test_the_start_is_that_of_peft(base):
    """A uniform within ±1/√in (kaiming_uniform_ with a = √5), B zero; every matrix and seed draws for itself."""
    torch = pytest.importorskip("torch")
    start = partial(Adapter(base.targets(), 16).start, mesh=None)
    for path, leaf in start(0).items():
        if path.endswith("lora_b"):
            assert not leaf.any()
            continue
        theirs = torch.empty(leaf.shape[2], leaf.shape[1])
        torch.nn.init.kaiming_uniform_(theirs, a=5**0.5)
        bound = 1 / leaf.shape[1] ** 0.5
        assert 0.95 * bound < np.abs(leaf).max() <= bound and float(theirs.abs().max()) <= bound
        assert abs(float(leaf.std()) / (bound / 3**0.5) - 1) < 0.1 and abs(float(leaf.mean())) < 0.1 * bound
        assert len({leaf[layer].tobytes() for layer in range(len(leaf))}) == len(leaf)
        assert not np.array_equal(leaf, start(1)[path])
