"""Adapters that begin in a subspace, trained: what stays where it was, what accumulation leaves alone, what PEFT makes of them."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "lora"))

from lora_rows import RandomStream, make_batch

from jaxtrunc.adapters import write_adapter
from jaxtrunc.core.trees import flatten
from jaxtrunc.models import Execution, load_params
from jaxtrunc.recipes.pair import open_side
from jaxtrunc.sae.adapter import share_outside
from jaxtrunc.sae.recovery import mean_angle
from jaxtrunc.train import TrainSettings
from jaxtrunc.train.adapt_settings import AdaptSettings
from jaxtrunc.train.lora import train_lora

A, B = "layers/attn/o_proj/lora_a", "layers/attn/o_proj/lora_b"
NAME = "model.layers.1.self_attn.o_proj.weight"
SETTINGS = TrainSettings(learning_rate=2e-2, batch_size=8, epochs=99, max_steps=50, keep="last", schedule="constant")


def trained(tiny, start, directory, settings=SETTINGS, stream=None, **options):
    return flatten(train_lora(tiny.params, tiny.cfg, start.adapter, stream or RandomStream(), settings, directory,
                              execution=Execution(), start=start.factors, **options))


@pytest.fixture(scope="module")
def runs(llama, tmp_path_factory):
    """The start and what 50 steps make of it: B free, and B frozen."""
    found = {}
    for name, freeze in (("free", False), ("frozen", True)):
        start = llama.begin({"resid_post.1": llama.u()}, freeze_b=freeze)
        found[name] = start, trained(llama, start, tmp_path_factory.mktemp(name))
    return found


@pytest.mark.slow
def test_a_frozen_b_keeps_the_update_in_u(llama, runs):
    start, after = runs["frozen"]
    np.testing.assert_array_equal(after[B], start.factors[B])
    assert np.abs(after[A]).max() > 0.05, "nothing was learned"
    for u in (llama.u(), start.begins[NAME].basis):
        assert share_outside(after[A][0], after[B][0], u) <= 1e-5


def test_a_free_b_leaves_u(llama, runs):
    start, after = runs["free"]
    assert np.degrees(mean_angle(np.asarray(after[B][0]).T, llama.u())) > 3
    assert share_outside(after[A][0], after[B][0], llama.u()) > 1e-3
    assert not start.factors[A].any() and set(after) - set(flatten(llama.params)) == {A, B}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["displacement", "output"])
def test_a_constraint_keeps_it_closer(llama, runs, kind, tmp_path):
    """At attn_out, where nothing but the adapter moves the state; the start is the same as without."""
    start = llama.begin({"attn_out.1": llama.u()})
    penalty = start.penalty(AdaptSettings(rank=4, constraint=kind, constraint_factor=30.0))
    after = trained(llama, start, tmp_path, penalty=penalty)
    outside, before = (share_outside(leaves[A][0], leaves[B][0], llama.u()) for leaves in (after, runs["free"][1]))
    assert outside < 0.5 * before and np.abs(after[A]).max() > 1e-3


class Prefixed(RandomStream):
    """The same rows with three tokens that stand before all of them."""

    def _batch(self, entry):
        return replace(super()._batch(entry), prefix=np.array([1, 2, 3], np.int32))


@pytest.mark.slow
def test_parts_of_a_batch_give_what_the_whole_gives(llama, tmp_path):
    """With dropout and a penalty: masks belong to rows, token weights to the whole batch."""
    found = []
    for parts in (1, 4):
        start = llama.begin({"resid_post.1": llama.u()}, dropout=0.3, a_init="compensated", targets=("o", "down"))
        penalty = start.penalty(AdaptSettings(rank=4, constraint="displacement", constraint_factor=1.0), (3,))
        settings = replace(SETTINGS, max_steps=2, accumulation=parts, epsilon=1e-3)
        found.append(trained(llama, start, tmp_path / str(parts), settings, Prefixed(), penalty=penalty))
    for path in (A, B):
        np.testing.assert_allclose(found[0][path], found[1][path], atol=1e-5)
        assert np.abs(found[0][path] - start.factors[path]).max() > 1e-3
        np.testing.assert_array_equal(found[0][f"{path}0"], start.factors[f"{path}0"])


@pytest.mark.slow
def test_a_resumed_run_draws_the_same_masks(llama, tmp_path):
    start = llama.begin({"resid_post.1": llama.u()}, dropout=0.3)
    settings = replace(SETTINGS, max_steps=4, checkpoint_every=2)
    whole = trained(llama, start, tmp_path / "whole", settings)

    class Poisoned(RandomStream):
        def _batch(self, entry):
            if self.position > 2:
                raise KeyboardInterrupt
            return super()._batch(entry)

    with pytest.raises(KeyboardInterrupt):
        trained(llama, start, tmp_path / "cut", settings, Poisoned())
    again = trained(llama, start, tmp_path / "cut", settings, resume=True)
    for path in (A, B):
        np.testing.assert_array_equal(whole[path], again[path])
    still = trained(llama, llama.begin({"resid_post.1": llama.u()}), tmp_path / "still", settings)
    assert not np.array_equal(whole[A], still[A])


@pytest.mark.parametrize("a_init", ["zero", "compensated"])
def test_peft_loads_the_factors_as_trained(llama, tmp_path, a_init):
    torch, peft = pytest.importorskip("torch"), pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    start = llama.begin({"resid_post.1": llama.u(), "resid_post.2": llama.u(1)}, a_init=a_init, targets=("o", "down"))
    after = trained(llama, start, tmp_path / "training", replace(SETTINGS, max_steps=5))
    params, batch = llama.tree({path: leaf for path, leaf in after.items() if "lora_" in path}), make_batch(1)
    ours = llama.logits(start.adapter.applied(params), batch)
    exported = start.adapter.by_name(params)
    write_adapter(tmp_path / "adapter", exported, base_ref=str(llama.folder), title="t", notes="n", scale=start.adapter.scale)
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    times = 2 if a_init == "compensated" else 1
    assert (config["r"], config["lora_alpha"]) == (4 * times, 32 * times)
    np.testing.assert_array_equal(exported[NAME][0][:4], np.asarray(after[A][0]).T)
    np.testing.assert_array_equal(exported[NAME][1][:, :4], np.asarray(after[B][0]).T)
    if times == 2:
        np.testing.assert_array_equal(exported[NAME][0][4:], start.factors[A][0].T)
        np.testing.assert_array_equal(exported[NAME][1][:, 4:], -start.factors[B][0].T)
    plain = AutoModelForCausalLM.from_pretrained(llama.folder, attn_implementation="eager").float().eval()
    model = peft.PeftModel.from_pretrained(plain, tmp_path / "adapter").eval()
    with torch.no_grad():
        theirs = [model(torch.tensor(row[None, :length].astype(np.int64))).logits[0].numpy()
                  for row, length in zip(batch.tokens, batch.lengths, strict=True)]
    merged = llama.logits(load_params(open_side(f"{llama.folder}+{tmp_path / 'adapter'}").leaves), batch)
    base = llama.logits(llama.params, batch)
    for row, length in enumerate(batch.lengths):
        np.testing.assert_allclose(ours[row, :length], theirs[row], atol=2e-5)
        np.testing.assert_allclose(merged[row, :length], ours[row, :length], atol=1e-5)
    assert np.abs(ours - base).max() > 0.05
