"""`jaxtrunc merge` from the command line: what it writes, what it takes, what it refuses."""

import json
import shutil
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
import yaml
from tiny_models import rewrite, tensors_of, write_base, write_tuned

from jaxtrunc.adapters import write_adapter

ALL = ["linear", "task_arithmetic", "ties", "dare_linear", "dare_ties", "tsv_merge", "iso_c", "iso_cts", "knots_ties", "orthogonal"]
FAST = ("dare_ties", "iso_cts", "knots_ties")  # the others are seen by other tests, and by all of them with the slow ones
MATRIX = "model.layers.1.mlp.up_proj.weight"
MEASURED = """
import re, sys
from pathlib import Path
from jaxtrunc.cli import main
main(sys.argv[1:])
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def facts(out):
    return json.loads((out / "merge.json").read_text())


@pytest.mark.parametrize("method", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in ALL])
def test_a_directory_with_all_that_belongs_to_it(method, models, merged, tmp_path):
    out = tmp_path / "out"
    code, said = merged("--method", method, "--base-model", models[0], "--models", *models[1:], "--out-path", out)
    assert code == 0, said
    assert {"config.json", "model.safetensors", "README.md", "merge.json", "merge_config.yaml", "plots"} == {
        file.name for file in out.iterdir()}
    assert {file.suffix for file in (out / "plots").iterdir()} == {".svg", ".png", ".csv"}
    found = facts(out)
    tensors = tensors_of(out)
    assert list(found["tensors"]) and set(found["tensors"]) == set(tensors)
    spectral = method in ALL[5:]
    for name, entry in found["tensors"].items():
        base, array = tensors_of(models[0])[name], tensors[name]
        taus = [tensors_of(model)[name] - base for model in models[1:]]
        is_matrix = "layers" in name and array.ndim == 2
        assert entry["shape"] == list(array.shape)
        assert entry["action"] == (method if is_matrix or not spectral else "averaged")
        assert entry["delta_norm"] == pytest.approx(np.linalg.norm(array - base), rel=1e-4, abs=1e-6)
        assert entry["task_norms"] == pytest.approx([np.linalg.norm(tau) for tau in taus], rel=1e-4)
        cosine = np.vdot(taus[0], taus[2]) / np.linalg.norm(taus[0]) / np.linalg.norm(taus[2])
        assert entry["frobenius_cosine"][0][2] == pytest.approx(cosine, abs=1e-5)
        assert (entry["sti_before"] is not None) == (spectral and is_matrix)
    assert (found["tensors"][MATRIX]["sti_after"] is not None) == (method in ("tsv_merge", "iso_cts", "orthogonal"))


def test_orthogonal_merging_removes_the_interference(models, merged, tmp_path):
    merged("--method", "tsv_merge", "--base-model", models[0], "--models", *models[1:], "--out-path", tmp_path / "out")
    entry = facts(tmp_path / "out")["tensors"][MATRIX]
    assert entry["sti_after"] <= 1e-4 * entry["sti_before"]
    assert entry["rank_used"] == 15 and np.shape(entry["principal_cosines"]) == (3, 5)
    taus = [tensors_of(model)[MATRIX].T - tensors_of(models[0])[MATRIX].T for model in models[1:3]]
    bases = [np.linalg.svd(tau)[0][:, :5] for tau in taus]
    expected = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    np.testing.assert_allclose(entry["principal_cosines"][0], expected, atol=1e-4)


def test_the_written_config_does_the_same_again(models, merged, tmp_path):
    first, again = tmp_path / "first", tmp_path / "again"
    merged("--method", "dare", "--base-model", models[0], "--models", *models[1:3], "--weight", 0.5, 1.5, "--density", 0.4,
           "--lambda", 0.7, "--seed", 3, "--out-path", first)
    config = yaml.safe_load((first / "merge_config.yaml").read_text())
    assert config["merge_method"] == "dare_linear" and config["parameters"] == {"lambda": 0.7, "normalize": False, "seed": 3}
    assert merged(first / "merge_config.yaml", "--out-path", again) == (0, "")
    assert (first / "model.safetensors").read_bytes() == (again / "model.safetensors").read_bytes()
    assert merged(first / "merge_config.yaml", "--seed", 4, "--out-path", tmp_path / "other")[0] == 0
    assert (first / "model.safetensors").read_bytes() != (tmp_path / "other" / "model.safetensors").read_bytes()


def test_references_beside_the_file_and_a_base_among_the_models(models, merged, tmp_path):
    for model in models[:3]:
        shutil.copytree(model, tmp_path / model.name)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({
        "merge_method": "task_arithmetic", "base_model": "base", "models": [
            {"model": "base"}, {"model": "m1", "parameters": {"weight": 1}}, {"model": "m2", "parameters": {"weight": 0.5}}]}))
    assert merged(tmp_path / "c.yaml", "--out-path", tmp_path / "out") == (0, "")
    base, one, two = (tensors_of(model)[MATRIX] for model in models[:3])
    np.testing.assert_allclose(tensors_of(tmp_path / "out")[MATRIX], base + (one - base) + 0.5 * (two - base), atol=1e-6)


@pytest.mark.parametrize("listed", [("base", "m1", "m2"), ("m1", "m2")], ids=" ".join)
def test_the_base_is_no_task_whatever_its_weight(listed, models, merged, tmp_path):
    places = dict(zip(("base", "m1", "m2"), models, strict=False))
    code, _ = merged("--method", "tsv_merge", "--base-model", places["base"], "--models", *(places[name] for name in listed),
                     "--exclude", "no such tensor", "--out-path", tmp_path / "out")
    found = json.loads((tmp_path / "out/merge.json").read_text())
    assert code == 0 and [entry["model"] for entry in found["config"]["models"]] == [str(places["m1"]), str(places["m2"])]
    said = " ".join(found["warnings"])
    assert "exclude: 'no such tensor' matches no tensor" in said and ("is the base and no task" in said) == ("base" in listed)


@pytest.mark.parametrize("method", ["ties", "tsv_merge"])
def test_an_adapter_equals_what_it_was_merged_into(method, models, merged, tmp_path):
    rng, tensors = np.random.default_rng(0), tensors_of(models[0])
    names = [name for name, array in tensors.items() if "_proj.weight" in name]
    factors = {name: (rng.standard_normal((8, tensors[name].shape[1]), np.float32),
                      rng.standard_normal((tensors[name].shape[0], 8), np.float32)) for name in names}
    write_adapter(tmp_path / "adapter", factors, base_ref="base", title="", notes="", scale=0.25)
    shutil.copytree(models[0], tmp_path / "before")
    rewrite(tmp_path / "before", tensors | {name: tensors[name] + np.float32(0.25) * b @ a for name, (a, b) in factors.items()})
    for ref, out in ((f"{models[0]}+{tmp_path / 'adapter'}", "a"), (tmp_path / "before", "b")):
        code, said = merged("--method", method, "--base-model", models[0], "--models", ref, models[2], "--density", 0.5,
                            "--out-path", tmp_path / out)
        assert code == 0, said
    found, expected = tensors_of(tmp_path / "a"), tensors_of(tmp_path / "b")
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], atol=2e-5, err_msg=name)


def test_bfloat16_in_and_out_is_the_float32_merge_cast_once(merged, tmp_path):
    base = write_base(tmp_path / "base", "bfloat16")
    tuned = [write_tuned(tmp_path / f"m{seed}", base, seed) for seed in (1, 2)]
    common = ("--method", "ties", "--base-model", base, "--models", *tuned, "--density", 0.5)
    assert merged(*common, "--out-path", tmp_path / "half") == (0, "")
    assert merged(*common, "--dtype", "float32", "--out-path", tmp_path / "whole") == (0, "")
    whole = tensors_of(tmp_path / "whole")
    for name, array in tensors_of(tmp_path / "half").items():
        assert array.dtype == ml_dtypes.bfloat16
        np.testing.assert_array_equal(array, whole[name].astype(ml_dtypes.bfloat16))
    assert json.loads((tmp_path / "half" / "config.json").read_text())["torch_dtype"] == "bfloat16"


def test_shards_and_warnings(models, merged, tmp_path):
    out = tmp_path / "out"
    code, _ = merged("--method", "orthogonal", "--base-model", models[0], "--models", *models[1:], "--rank", 8, "--density", 0.5,
                     "--max-shard-size", "10kB", "--out-path", out)
    assert code == 0 and (out / "model.safetensors.index.json").is_file()
    warnings = facts(out)["warnings"]
    assert len(warnings) == 2 and "density has no effect" in warnings[0] and "does not fit 14 matrices" in warnings[1]


@pytest.mark.slow
def test_transformers_opens_the_result(models, merged, tmp_path):
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM

    merged("--method", "iso_cts", "--base-model", models[0], "--models", *models[1:], "--out-path", tmp_path / "out")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert torch.isfinite(model(input_ids=torch.arange(6)[None]).logits).all()


def config(paths, **changes):
    """A config that works, and changes to it."""
    entries = [{"model": str(path), "parameters": {"weight": 1.0}} for path in paths[1:]]
    return {"merge_method": "ties", "base_model": str(paths[0]), "models": entries} | changes


@pytest.mark.parametrize(("changes", "words"), [
    ({"merge_methods": "ties"}, "unknown key 'merge_methods'; did you mean 'merge_method'"),
    ({"parameters": {"lamda": 1}}, "did you mean 'lambda'"),
    ({"merge_method": "tie"}, "did you mean 'ties'"), ({"merge_method": None}, "no merge_method"),
    ({"base_model": None}, "needs the model that all were tuned from"), ({"models": []}, "no models"),
    ({"models": [{"model": "x"}]}, "entry 1: x has no weight"), ({"merge_method": ["ties"]}, "merge_method: found ['ties']"),
    ({"parameters": 0}, "parameters: expected a mapping"), ({"dtype": "int8", "out_dtype": "float32"}, "dtype: expected one of"),
    ({"models": [{"model": "no/such", "parameters": {"weight": "a"}}]}, "a number"),
    ({"merge_method": "orthogonal", "parameters": {"rank": 0}}, "at least 1"),
    ({"merge_method": "orthogonal", "parameters": {"rank": 1.5}}, "at most 1"),
    ({"merge_method": "orthogonal", "parameters": {"rank": "half"}}, "1/T"),
    ({"parameters": {"scope": "layer"}}, "tensor or global"), ({"parameters": {"normalize": 1}}, "true or false"),
    ({"out_dtype": "int8"}, "float32"), ({"dtype": ["float32"]}, "expected one of"),
], ids=str)
def test_configs_that_are_refused(changes, words, models, merged, tmp_path):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config(models, **changes)))
    code, said = merged(tmp_path / "c.yaml", "--out-path", tmp_path / "out")
    assert code == 2 and words in said and said.count("\n") == 1, said
    assert [file.name for file in tmp_path.iterdir()] == ["c.yaml"]


def other_vocabulary(folder, base):
    write_base(folder, vocab_size=40)


def other_shape(folder, base):
    write_base(folder, intermediate_size=28)


def missing(folder, base):
    rewrite(shutil.copytree(base, folder), {name: array for name, array in tensors_of(base).items() if name != MATRIX})


def extra(folder, base):
    rewrite(shutil.copytree(base, folder), tensors_of(base) | {"model.more.weight": np.ones(3, np.float32)})


def not_finite(folder, base):
    rewrite(shutil.copytree(base, folder), tensors_of(base) | {MATRIX: np.full_like(tensors_of(base)[MATRIX], np.nan)})


@pytest.mark.parametrize(("make", "words"), [
    (other_vocabulary, "vocabulary of 40 tokens"), (other_shape, "shape"), (missing, "missing"), (extra, "unknown"),
    (not_finite, "NaN or infinite")], ids=lambda value: getattr(value, "__name__", ""))
def test_models_that_are_refused(make, words, models, merged, tmp_path):
    make(tmp_path / "models" / "bad", models[0])
    code, said = merged("--method", "tsv_merge", "--base-model", models[0], "--models", models[1], tmp_path / "models" / "bad",
                        "--out-path", tmp_path / "out")
    assert code == 2 and words in said and said.count("\n") == 1, said
    assert [file.name for file in tmp_path.iterdir()] == ["models"]


def test_more_models_than_directions_are_refused(models, merged, tmp_path):
    copies = [shutil.copytree(models[1], tmp_path / f"copy{number}") for number in range(17)]
    code, said = merged("--method", "tsv_merge", "--base-model", models[0], "--models", *copies, "--out-path", tmp_path / "out")
    assert code == 2 and "no matrix has more than 16 directions" in said and not (tmp_path / "out").exists()


def test_other_tokens_in_a_vocabulary_of_the_same_size_are_refused(models, merged, tmp_path):
    for number, words in enumerate((["a", "b"], ["b", "a"]), 1):
        folder = shutil.copytree(models[number], tmp_path / f"m{number}")
        (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {word: at for at, word in enumerate(words)}}}))
    code, said = merged("--method", "soup", "--models", tmp_path / "m1", tmp_path / "m2", "--out-path", tmp_path / "out")
    assert code == 2 and "another vocabulary" in said


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ties", "tsv_merge"])
def test_memory_over_the_idle_program(method, tmp_path):
    """At most T + 3 times the largest tensor in float32, here an embedding of 102 MB and T = 2."""
    peaks = []
    for name, vocabulary in (("small", 32), ("large", 1_600_000)):
        base = write_base(tmp_path / name / "base", "bfloat16", vocab_size=vocabulary)
        tuned = [write_tuned(tmp_path / name / f"m{seed}", base, seed) for seed in (1, 2)]
        command = [sys.executable, "-c", MEASURED, "merge", "-q", "--method", method, "--base-model", base, "--models", *tuned,
                   "--density", "0.5", "--out-path", tmp_path / name / "out"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(1024 * int(done.stdout.splitlines()[-1]))
    assert peaks[1] - peaks[0] <= 5 * 4 * 1_600_000 * 16
