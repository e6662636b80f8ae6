"""A saved tiny model per case, built once."""

import shutil

import jax
import pytest
from tiny_hf import CASES, make

from jaxtrunc.core.jsonio import write_json
from jaxtrunc.models import init_params, read_config, to_hf, write_model


@pytest.fixture(scope="session", params=CASES)
def saved(request, tmp_path_factory):
    """(torch model, directory it was saved to) for every case."""
    pytest.importorskip("torch", reason="parity with torch needs torch")
    model = make(request.param)
    folder = tmp_path_factory.mktemp("saved")
    model.save_pretrained(folder)
    return model, folder


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A Hugging Face directory of an untied tiny Qwen2, written without torch."""
    folder = tmp_path_factory.mktemp("template")
    config = {
        "model_type": "qwen2", "vocab_size": 20, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 3,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64, "rms_norm_eps": 1e-6,
        "rope_theta": 1e4, "tie_word_embeddings": False, "hidden_act": "silu",
    }  # fmt: skip
    write_json(folder / "source" / "config.json", config)
    cfg = read_config(folder / "source")
    tensors = to_hf(cfg, init_params(cfg, jax.random.key(0)))
    write_model(folder / "model", tensors, source=folder / "source", cfg=cfg, dtype="float32")
    return folder / "model"


@pytest.fixture
def directory(template, tmp_path):
    """A copy of the template that a test may spoil."""
    return shutil.copytree(template, tmp_path / "model")
