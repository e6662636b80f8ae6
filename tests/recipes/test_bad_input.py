"""Hostile or broken input: one sentence, exit code 2, nothing lost."""

import json
import shutil

import numpy as np
import pytest
from little import rewrite
from safetensors.numpy import load_file


@pytest.fixture
def broken(pair, tmp_path):
    shutil.copytree(pair.ft, tmp_path / "broken")
    return tmp_path / "broken"


@pytest.fixture
def decompose_refused(pair, broken, tmp_path, refused):
    def run(*words):
        out = tmp_path / "out"
        refused("decompose", "--base-model", pair.base, "--model", broken, "--out-path", out, words=words)
        assert not (out / "decomposition").exists()

    return run


def test_truncated_shard(broken, decompose_refused):
    file = broken / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    decompose_refused("model.safetensors")


def test_header_that_lies_about_its_length(broken, decompose_refused):
    (broken / "model.safetensors").write_bytes((2**40).to_bytes(8, "little") + b"{}")
    decompose_refused("model.safetensors")


@pytest.mark.parametrize("shard", ["../outside.safetensors", "/etc/outside.safetensors"])
def test_shard_names_outside_the_folder(broken, decompose_refused, shard):
    names = load_file(broken / "model.safetensors")
    (broken / "model.safetensors").rename(broken.parent / "outside.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, shard)}
    (broken / "model.safetensors.index.json").write_text(json.dumps(index))
    decompose_refused(shard)


def test_key_in_the_index_but_not_in_the_file(broken, decompose_refused):
    names = dict.fromkeys([*load_file(broken / "model.safetensors"), "model.ghost.weight"], "model.safetensors")
    (broken / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    decompose_refused("model.ghost.weight", "model.safetensors")


def test_nan_in_a_checkpoint(broken, decompose_refused):
    rewrite(broken, lambda name, array: np.where(np.arange(array.size).reshape(array.shape) == 3, np.nan, array).astype(np.float32)
            if "layers.2.mlp.up_proj" in name else array)
    decompose_refused("model.layers.2.mlp.up_proj.weight", "NaN")


def test_another_shape(pair, broken, decompose_refused):
    config = json.loads((broken / "config.json").read_text())
    width = config["intermediate_size"]
    (broken / "config.json").write_text(json.dumps(config | {"intermediate_size": width - 8}))

    def narrower(name, array):
        if "gate_proj" in name or "up_proj" in name:
            return array[:-8]
        return array[:, :-8] if "down_proj" in name else array

    rewrite(broken, narrower)
    decompose_refused("mlp", str(width), str(width - 8))


def test_another_vocabulary(broken, decompose_refused):
    config = json.loads((broken / "config.json").read_text())
    rows = config["vocab_size"]
    (broken / "config.json").write_text(json.dumps(config | {"vocab_size": rows - 8}))
    rewrite(broken, lambda name, array: array[:-8] if "embed" in name or "lm_head" in name else array)
    decompose_refused("embed", str(rows), str(rows - 8))


def test_unknown_config_field_of_a_model(broken, decompose_refused):
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(config | {"attention_is_upside_down": True}))
    decompose_refused("config.json", "attention_is_upside_down")


def sweep_with(pair, tmp_path, **changes):
    """A copy of the task with some text replaced."""
    text = pair.task.read_text().replace("rows.jsonl", str(pair.task.parent / "rows.jsonl"))
    for old, new in changes.values():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "task.yaml").write_text(text)
    return tmp_path / "task.yaml"


def test_label_word_of_two_tokens(pair, study, refused, tmp_path):
    task = sweep_with(pair, tmp_path, words=('" positive"]', '" positive film"]'))
    refused("sweep", study, "--task", task, words=(" positive film", "likelihood"))


def test_unknown_task_key(pair, study, refused, tmp_path):
    task = sweep_with(pair, tmp_path, key=("attributes:", "atributes:"))
    refused("sweep", study, "--task", task, words=("atributes", "attributes", "task.yaml"))


def test_empty_group_cell(pair, study, refused, tmp_path):
    rows = [json.loads(line) for line in (pair.task.parent / "rows.jsonl").read_text().splitlines()]
    kept = [row for row in rows if (row["split"], row["label"], row["marker"]) != ("test", "positive", 0)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    task = sweep_with(pair, tmp_path, rows=(str(pair.task.parent / "rows.jsonl"), str(tmp_path / "rows.jsonl")))
    refused("sweep", study, "--task", task, words=("positive", "marker", "test"))


def test_wrong_label(pair, study, refused, tmp_path):
    rows = (pair.task.parent / "rows.jsonl").read_text().replace('"negative"', '"negativ"', 1)
    (tmp_path / "rows.jsonl").write_text(rows)
    task = sweep_with(pair, tmp_path, rows=(str(pair.task.parent / "rows.jsonl"), str(tmp_path / "rows.jsonl")))
    refused("sweep", study, "--task", task, words=("rows.jsonl", "negativ", "line"))


def test_unknown_config_key(refused, tmp_path):
    (tmp_path / "run.yaml").write_text("name: x\nbase_model: y\ntask: z\ntrain: {learning_rat: 1e-3}\n")
    refused("run", tmp_path / "run.yaml", words=("run.yaml", "learning_rat", "learning_rate"))


def test_wrong_type_in_a_config(refused, tmp_path):
    (tmp_path / "run.yaml").write_text("name: x\nbase_model: y\ntask: z\ntrain: {epochs: many}\n")
    refused("run", tmp_path / "run.yaml", words=("run.yaml", "epochs", "many"))


def test_output_directory_taken(pair, study, refused, tmp_path):
    before = {file: file.read_bytes() for file in study.rglob("*") if file.is_file()}
    refused("decompose", "--base-model", pair.base, "--model", pair.ft, "--out-path", study, words=(str(study), "--resume"))
    refused("sweep", study, "--task", pair.task, words=(str(study), "--resume"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    decompose = ("decompose", "--base-model", pair.base, "--model", pair.ft)
    export = ("export", study, "--rank", 1, "--format", "hf")
    for arguments in (decompose, export):
        refused(*arguments, "--out-path", tmp_path / "mine", words=(str(tmp_path / "mine"),))
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"
    assert before == {file: file.read_bytes() for file in study.rglob("*") if file.is_file()}


def test_adapter_export_of_a_pair_whose_norms_changed(pair, broken, jaxtrunc, refused, tmp_path):
    rewrite(broken, lambda name, array: array * np.float32(1.01) if "input_layernorm" in name else array)
    run = tmp_path / "run"
    assert jaxtrunc("decompose", "--base-model", pair.base, "--model", broken, "--out-path", run)[0] == 0
    export = ("export", run, "--rank", 2, "--format", "peft", "--out-path", tmp_path / "adapter")
    refused(*export, words=("input_layernorm", "--residual base"))
    assert not (tmp_path / "adapter").exists()
    assert jaxtrunc(*export, "--residual", "base")[0] == 0
    assert "input_layernorm" in (tmp_path / "adapter" / "README.md").read_text()


def test_models_that_are_not_there(pair, refused, tmp_path):
    refused("decompose", "--base-model", tmp_path / "nowhere", "--model", pair.ft, "--out-path", tmp_path / "o", words=("nowhere",))
    assert not (tmp_path / "o").exists()


def test_two_equal_models(pair, refused, tmp_path):
    refused("decompose", "--base-model", pair.base, "--model", pair.base, "--out-path", tmp_path / "o", words=("no update",))
    assert not (tmp_path / "o" / "decomposition").exists()


@pytest.mark.parametrize(("flags", "words"), [
    (("--operators", "top_q"), ("top_q", "top_k")), (("--operators", "top_k,lora"), ("is trained", "ranks")),
    (("--ranks", "1,b"), ("--ranks", "1,b")),
    (("--ranks=-1",), ("--ranks", "-1")), (("--fractions", "2"), ("--fractions", "2")),
    (("--fractions", "nan"), ("--fractions", "nan")),
    (("--alphas", "1.5"), ("--alphas", "1.5")),
    (("--ranks", "9" * 23), ("--ranks", "2147483647")), (("--limit", "0"), ("--limit", "0")),
    (("--batch-size", "0"), ("--batch-size",)), (("--split", "tset"), ("tset", "test")),
])
def test_wrong_flags_of_sweep(pair, study, refused, flags, words):
    refused("sweep", study, "--task", pair.task, *flags, words=words)


@pytest.mark.parametrize(("flags", "words"), [
    (("--operator", "interpolate"), ("interpolate", "rank")), (("--operator", "random_k"), ("--seed",)),
    (("--seed", "0"), ("--seed",)), (("--operator", "random_k", "--seed=-1"), ("--seed", "-1")),
])
def test_wrong_flags_of_export(study, refused, tmp_path, flags, words):
    refused("export", study, "--rank", 2, "--format", "hf", "--out-path", tmp_path / "m", *flags, words=words)


def test_a_changed_checkpoint_is_noticed(pair, jaxtrunc, refused, tmp_path):
    shutil.copytree(pair.ft, tmp_path / "ft")
    run = tmp_path / "run"
    assert jaxtrunc("decompose", "--base-model", pair.base, "--model", tmp_path / "ft", "--out-path", run)[0] == 0
    rewrite(tmp_path / "ft", lambda name, array: array * np.float32(1.5) if "layers.1.mlp.up_proj" in name else array)
    export = ("export", run, "--rank", 2, "--format", "hf", "--out-path", tmp_path / "m")
    refused(*export, words=("layers.1.mlp.up_proj", "decompose again"))


def test_a_changed_decomposition_is_noticed(pair, study, refused, tmp_path):
    shutil.copytree(study, tmp_path / "run")
    file = next((tmp_path / "run" / "decomposition").glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-8] + b"12345678")
    refused("export", tmp_path / "run", "--rank", 2, "--format", "hf", "--out-path", tmp_path / "m", words=(file.name, "changed"))
