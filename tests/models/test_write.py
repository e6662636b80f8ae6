"""Model directories written here: transformers opens them, and a failed write leaves nothing behind."""

import json
import os

import jax
import numpy as np
import pytest

from jaxtrunc.core.errors import InputError, RunFailed
from jaxtrunc.models import load_params, open_model, to_hf, write_model


def rewrite(source, out, dtype="float32", tensors=None, **options):
    params = load_params(source.leaves())
    tensors = to_hf(source.cfg, params) if tensors is None else tensors
    write_model(out, tensors, source=source.directory, cfg=source.cfg, dtype=dtype, **options)
    return params


def test_reload_in_torch(saved, tmp_path):
    from tiny_hf import tokens, torch_logits
    from transformers import AutoModelForCausalLM

    model, folder = saved
    rewrite(open_model(folder), tmp_path / "out", max_shard_bytes=20_000)
    assert len(list((tmp_path / "out").glob("*.safetensors"))) > 2
    again, report = AutoModelForCausalLM.from_pretrained(tmp_path / "out", attn_implementation="eager", output_loading_info=True)
    assert not any(report.values()), report
    ids = tokens(2, 30)
    np.testing.assert_allclose(torch_logits(again.eval(), ids), torch_logits(model, ids), atol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_casting_is_torchs_casting(saved, tmp_path, dtype):
    import torch
    from safetensors.torch import load_file

    model, folder = saved
    rewrite(open_model(folder), tmp_path / "out", dtype)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == dtype
    stored, parameters = load_file(tmp_path / "out" / "model.safetensors"), dict(model.named_parameters())
    for name, tensor in stored.items():
        assert torch.equal(tensor, parameters[name].detach().to(getattr(torch, dtype))), name


@pytest.mark.parametrize("limit", [300, 2000, 10**9])
def test_shards_hold_what_one_file_holds(directory, tmp_path, limit):
    source = open_model(directory)
    params = rewrite(source, tmp_path / "out", max_shard_bytes=limit)
    again = open_model(tmp_path / "out")
    jax.tree.map(np.testing.assert_array_equal, load_params(again.leaves()), params)
    for file in (tmp_path / "out").glob("model-*.safetensors"):
        assert file.stat().st_size - 8 - int.from_bytes(file.read_bytes()[:8], "little") <= max(limit, 20 * 8 * 4)


def test_what_goes_along(directory, tmp_path):
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        (directory / name).write_text(f"{{}} {name}")
    for name in ("pytorch_model.bin", "notes.txt", "modeling.py"):
        (directory / name).write_text("not ours")
    before = os.umask(0o077)  # as on machines where new files are private
    try:
        rewrite(open_model(directory), tmp_path / "out", readme="# A card\n")
    finally:
        os.umask(before)
    assert (tmp_path / "out" / "README.md").read_text() == "# A card\n"
    assert (tmp_path / "out" / "chat_template.jinja").read_text() == "{} chat_template.jinja"
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "config.json", "model.safetensors"} < names
    assert not names & {"pytorch_model.bin", "notes.txt", "modeling.py"}
    for path in (tmp_path / "out").iterdir():
        assert path.stat().st_mode & 0o777 == 0o644, path
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755


def test_the_order_of_tensors_does_not_matter(directory, tmp_path):
    source = open_model(directory)
    backwards = reversed(list(to_hf(source.cfg, load_params(source.leaves()))))
    rewrite(source, tmp_path / "a", tensors=backwards)
    rewrite(source, tmp_path / "b")
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()


def missing(tensors):
    return tensors[:-1]


def doubled(tensors):
    return [*tensors, tensors[0]]


def stranger(tensors):
    return [*tensors, ("model.ghost", np.zeros(2))]


def misshapen(tensors):
    return [(tensors[0][0], np.zeros((2, 2))), *tensors[1:]]


def infinite(tensors):
    return [(tensors[0][0], np.full_like(tensors[0][1], 1e39, np.float64)), *tensors[1:]]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [(missing, "not given"), (doubled, "written twice"), (stranger, "not part of the model"),
     (misshapen, "expected shape"), (infinite, "NaN or infinite values as float32")],
)  # fmt: skip
def test_a_failed_write_leaves_nothing(directory, tmp_path, spoil, message):
    source = open_model(directory)
    tensors = spoil(list(to_hf(source.cfg, load_params(source.leaves()))))
    with pytest.raises(RunFailed, match=message):
        rewrite(source, tmp_path / "place" / "out", tensors=tensors)
    assert not list((tmp_path / "place").iterdir())


def test_nothing_is_overwritten(directory, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("x")
    with pytest.raises(InputError, match="exists and is not empty; nothing is overwritten"):
        rewrite(open_model(directory), tmp_path / "out")
    with pytest.raises(InputError, match=r"cannot be made, since .*precious is a file"):
        rewrite(open_model(directory), tmp_path / "out" / "precious" / "model")
    with pytest.raises(InputError, match="dtype: expected one of float32, bfloat16, float16, found 'int8'"):
        rewrite(open_model(directory), tmp_path / "other", dtype="int8")
