"""Our adapters against PEFT itself: it loads them without a word and computes base + B·A."""

import json
import warnings

import numpy as np
import pytest

from jaxtrunc.adapters import write_adapter
from jaxtrunc.core.errors import InputError


def factors_of(model, rank_of, seed=0):
    """Random factors for every attention and MLP weight, with the rank that `rank_of(name)` says."""
    rng = np.random.default_rng(seed)
    result = {}
    for name, weight in model.named_parameters():
        if name.endswith("_proj.weight"):
            out, into = weight.shape
            rank = rank_of(name)
            result[name] = (rng.normal(0, 0.2, (rank, into)).astype(np.float32),
                            rng.normal(0, 0.2, (out, rank)).astype(np.float32))
    return result


def uneven(name):
    """Ranks 0 to 5, different from module to module; layer 1 and layer 10 differ, and nothing else does."""
    return {"q_proj": 0, "k_proj": 5}.get(name.split(".")[-2], 2 + (".layers.1." in name))


def add_dense(torch, model, factors):
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in factors:
                a, b = factors[name]
                weight += torch.from_numpy(b.astype(np.float64) @ a.astype(np.float64)).float()
    return model


def load_silently(peft, model, folder):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        loaded = peft.PeftModel.from_pretrained(model, folder).eval()
    assert not [str(w.message) for w in said if issubclass(w.category, UserWarning)]
    return loaded


@pytest.mark.parametrize(("layers", "rank_of"), [(2, lambda name: 4), (12, uneven)], ids=["one rank", "many ranks"])
def test_peft_gives_base_plus_update(tiny_torch, tmp_path, layers, rank_of):
    torch, make = tiny_torch
    peft = pytest.importorskip("peft")
    factors = factors_of(make(layers), rank_of)
    write_adapter(tmp_path / "a", factors, base_ref="org/base", title="t", notes="n")
    ids = torch.arange(1, 9)[None]
    with torch.no_grad():
        want = add_dense(torch, make(layers), factors)(ids).logits
        ours = load_silently(peft, make(layers), tmp_path / "a")
        np.testing.assert_allclose(ours(ids).logits, want, atol=1e-4)
        np.testing.assert_allclose(ours.merge_and_unload()(ids).logits, want, atol=1e-4)
        assert float((make(layers)(ids).logits - want).abs().max()) > 0.01, "the update does nothing"


def test_the_config_says_what_peft_needs(tiny_torch, tmp_path):
    _, make = tiny_torch
    factors = factors_of(make(2), uneven)
    write_adapter(tmp_path / "a", factors, base_ref="org/base", title="Cut at 5", notes="Made by a test.")
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    assert config["r"] == config["lora_alpha"] == 5 and config["rank_pattern"] == config["alpha_pattern"]
    assert config["rank_pattern"]["model.layers.1.mlp.up_proj"] == 3
    assert config["rank_pattern"]["model.layers.0.mlp.up_proj"] == 2
    assert "model.layers.0.self_attn.k_proj" not in config["rank_pattern"]
    assert len(config["target_modules"]) == 12 and not any("q_proj" in module for module in config["target_modules"])
    assert (config["task_type"], config["peft_type"], config["bias"]) == ("CAUSAL_LM", "LORA", "none")
    assert config["inference_mode"] is True and config["modules_to_save"] is None
    for file in (tmp_path / "a").iterdir():
        assert file.stat().st_mode & 0o777 == 0o644
    card = (tmp_path / "a" / "README.md").read_text()
    assert 'base_model: "org/base"' in card and "Made by a test." in card


def test_what_cannot_be_an_adapter_is_refused(tmp_path):
    a, b = np.ones((2, 6), np.float32), np.ones((4, 2), np.float32)
    good = "model.layers.0.mlp.up_proj.weight"

    def write(factors, folder="a"):
        write_adapter(tmp_path / folder, factors, base_ref="base", title="t", notes="n")

    for name in ("lm_head.weight", "model.embed_tokens.weight", "model.layers.0.self_attn.q_norm.weight", good + "#q"):
        with pytest.raises(InputError, match=name):
            write({name: (a, b)})
    with pytest.raises(InputError, match="rank 0"):
        write({good: (a[:0], b[:, :0])})
    with pytest.raises(InputError, match="shapes"):
        write({good: (a, b[:, :1])})
    with pytest.raises(InputError, match="NaN"):
        write({good: (a * np.nan, b)})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("kept")
    with pytest.raises(InputError, match="not empty"):
        write({good: (a, b)}, "full")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full"], "something half-written stayed behind"
