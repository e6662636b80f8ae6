"""Adapters that PEFT itself wrote, read back: the same matrices as `merge_and_unload` gives."""

import json

import numpy as np
import pytest

from jaxtrunc.adapters import adapter_deltas, leaves_with_adapter, write_adapter
from jaxtrunc.core.errors import InputError
from jaxtrunc.models import hf_names, key_table, open_model

PATTERNS = {
    "plain": {"r": 3, "lora_alpha": 6},
    "rank-stabilised": {"r": 4, "lora_alpha": 2, "use_rslora": True},
    "patterns": {"r": 4, "lora_alpha": 8, "rank_pattern": {"q_proj": 2, "layers.1.mlp.up_proj": 5},
                 "alpha_pattern": {"model.layers.0.self_attn.q_proj": 3}},
}  # fmt: skip


def trained_adapter(tiny_torch, folder, **settings):
    """Base model directory, adapter directory and merged weights; both factors random, as after training."""
    torch, make = tiny_torch
    peft = pytest.importorskip("peft")
    make().save_pretrained(folder / "base")
    targets = ["q_proj", "o_proj", "up_proj", "down_proj"]
    config = peft.LoraConfig(task_type="CAUSAL_LM", target_modules=targets, **settings)
    model = peft.get_peft_model(make(), config)
    with torch.no_grad():
        for name, factor in model.named_parameters():
            if "lora_" in name:
                factor.normal_(0, 0.1)
    model.save_pretrained(folder / "adapter")
    merged = {name: weight.detach().numpy() for name, weight in model.merge_and_unload().named_parameters()}
    return folder / "base", folder / "adapter", merged


@pytest.mark.parametrize("settings", PATTERNS.values(), ids=PATTERNS)
def test_leaves_are_what_peft_merges(tiny_torch, tmp_path, settings):
    base, adapter, merged = trained_adapter(tiny_torch, tmp_path, **settings)
    source = open_model(base)
    leaves, untouched = leaves_with_adapter(source, adapter), source.leaves()
    names, transposed = hf_names(source.cfg), {rule.path: rule.transpose for rule in key_table(source.cfg)}
    assert set(leaves) == set(untouched)
    changed = 0
    for path, leaf in leaves.items():
        assert leaf.shape == untouched[path].shape and len(leaf) == len(untouched[path])
        for layer, name in enumerate(names[path]):
            ours = leaf[layer].T if transposed[path] else leaf[layer]
            np.testing.assert_allclose(ours, merged[name], atol=1e-6, err_msg=name)
            changed += not np.array_equal(leaf[layer], untouched[path][layer])
    assert changed == 8


def test_our_own_export_comes_back(tiny_torch, tmp_path):
    rng = np.random.default_rng(0)
    factors = {f"model.layers.{layer}.mlp.up_proj.weight": (rng.normal(size=(rank, 32)).astype(np.float32),
                                                            rng.normal(size=(48, rank)).astype(np.float32))
               for layer, rank in enumerate((2, 5))}
    write_adapter(tmp_path / "a", factors, base_ref="b", title="t", notes="n")
    deltas = adapter_deltas(tmp_path / "a")
    assert set(deltas) == set(factors)
    for name, (a, b) in factors.items():
        assert deltas[name].scale == 1
        np.testing.assert_allclose(deltas[name].kernel, (b @ a).T, atol=1e-6)


@pytest.mark.parametrize(("change", "message"), [
    ({"use_dora": True}, "use_dora"),
    ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
    ({"bias": "all"}, "bias"),
    ({"init_lora_weights": "pissa"}, "init_lora_weights"),
    ({"layer_replication": [[0, 1]]}, "layer_replication"),
    ({"some_future_option": 3}, "some_future_option"),
    ({"peft_type": "IA3"}, "IA3"),
    ({"r": 0}, "r must be"),
    ({"r": 7}, "rank 7"),
    ({"rank_pattern": {"(": 2}}, "rank_pattern"),
])  # fmt: skip
def test_other_adapters_are_refused(tmp_path, change, message):
    folder = small_adapter(tmp_path)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | change))
    with pytest.raises(InputError, match=message):
        adapter_deltas(folder)


def test_damaged_files_are_refused(tmp_path):
    from safetensors.numpy import load_file, save_file

    file = small_adapter(tmp_path) / "adapter_model.safetensors"
    whole, tensors = file.read_bytes(), load_file(file)
    file.write_bytes(whole[:-10])
    with pytest.raises(InputError, match=r"adapter_model\.safetensors"):
        adapter_deltas(file.parent)
    key = next(key for key in tensors if "lora_A" in key)
    for broken, message in (
        ({name: value for name, value in tensors.items() if name != key}, "only one of"),
        (tensors | {"base_model.model.lm_head.lora_magnitude_vector": np.ones(3)}, "magnitude"),
        (tensors | {key: tensors[key] * np.nan}, "NaN"),
        ({}, "no LoRA factors"),
    ):
        save_file(broken, file)
        with pytest.raises(InputError, match=message):
            adapter_deltas(file.parent)
    file.unlink()
    with pytest.raises(InputError, match="missing"):
        adapter_deltas(file.parent)


def test_an_adapter_of_another_model_is_refused(tiny_torch, tmp_path):
    _, make = tiny_torch
    make().save_pretrained(tmp_path / "base")
    source = open_model(tmp_path / "base")
    with pytest.raises(InputError, match=r"maps 6 to 4 features, the base model's 32 to 48"):
        leaves_with_adapter(source, small_adapter(tmp_path))
    with pytest.raises(InputError, match=r"layers\.9\.mlp"):
        leaves_with_adapter(source, small_adapter(tmp_path, layer=9))


def small_adapter(folder, layer=0):
    factors = {f"model.layers.{layer}.mlp.up_proj.weight": (np.ones((2, 6), np.float32), np.ones((4, 2), np.float32))}
    write_adapter(folder / f"small{layer}", factors, base_ref="b", title="t", notes="n")
    return folder / f"small{layer}"
