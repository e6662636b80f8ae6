"""Every flag of `jaxtrunc merge` reaches its method, and merge.json has the keys that its readers count on."""

import json
import shutil

import numpy as np
import pytest
import yaml
from tiny_models import tensors_of, write_base, write_tuned

MATRIX = "model.layers.1.mlp.up_proj.weight"
TOP = {"schema_version", "config", "environment", "warnings", "tensors"}
OF_A_TENSOR = {"shape", "action", "rank_used", "delta_norm", "task_norms", "sti_before", "sti_after", "frobenius_cosine",
               "principal_cosines"}


@pytest.fixture
def of_two(models, merged, tmp_path):
    """`of_two("ties", …)` merges two models and returns (what each tensor became minus the base, merge.json)."""
    def run(method, *flags):
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        code, said = merged("--method", method, "--base-model", models[0], "--models", *models[1:3], *flags, "--out-path", out)
        assert code == 0, said
        base = tensors_of(models[0])
        return {name: array - base[name] for name, array in tensors_of(out).items()}, json.loads((out / "merge.json").read_text())

    return run


@pytest.mark.parametrize("method", ["soup", "tsv_merge"])
def test_the_keys_of_merge_json(method, of_two):
    _, found = of_two(method)
    assert set(found) == TOP and found["warnings"] == []
    assert all(set(entry) == OF_A_TENSOR for entry in found["tensors"].values())


def test_without_a_base_what_needs_one_is_null(models, merged, tmp_path):
    assert merged("--method", "soup", "--models", *models[1:3], "--out-path", tmp_path / "out")[0] == 0
    entry = json.loads((tmp_path / "out" / "merge.json").read_text())["tensors"][MATRIX]
    assert {key for key, value in entry.items() if value is not None} == {"shape", "action"}


def test_a_density_over_all_tensors(models, of_two, merged, tmp_path):
    """With one model exactly ⌊density·N⌋ of all entries move: the largest of all, wherever they are."""
    out = tmp_path / "one"
    assert merged("--method", "ties", "--base-model", models[0], "--models", models[1], "--density", 0.1, "--scope", "global",
                  "--out-path", out)[0] == 0
    base, tuned, found = (tensors_of(folder) for folder in (models[0], models[1], out))
    size = np.concatenate([np.abs(tuned[name] - base[name]).ravel() for name in found])
    moved = np.concatenate([(found[name] != base[name]).ravel() for name in found])
    assert moved.sum() == int(0.1 * size.size) and size[moved].min() >= size[~moved].max()
    everywhere, _ = of_two("ties", "--density", 0.1, "--scope", "global")
    each, _ = of_two("ties", "--density", 0.1)
    assert any((everywhere[name] != each[name]).any() for name in each)


def test_excluded_tensors_are_averaged(of_two):
    update, found = of_two("iso_c", "--exclude", "up_proj", "--lambda", 0.5)
    default, _ = of_two("iso_c", "--lambda", 0.5)
    actions = {name: entry["action"] for name, entry in found["tensors"].items()}
    assert actions[MATRIX] == "averaged" and actions[MATRIX.replace("up", "down")] == "iso_c"
    assert not np.allclose(update[MATRIX], default[MATRIX], atol=1e-3)
    half, _ = of_two("task_arithmetic", "--weight", 0.25)
    np.testing.assert_allclose(update[MATRIX], half[MATRIX], atol=1e-6)


def test_rank_and_sigma(of_two):
    for flag, rank in (("4", 8), ("0.125", 4), ("1/T", 16)):
        update, found = of_two("orthogonal", "--rank", flag, "--sigma", "ones")
        sigma = np.linalg.svd(update[MATRIX], compute_uv=False)
        np.testing.assert_allclose(sigma, [1.0] * rank + [0.0] * (16 - rank), atol=1e-4)
        assert found["tensors"][MATRIX]["rank_used"] == rank


def test_normalize_divides_by_the_weights(of_two):
    summed, _ = of_two("task_arithmetic", "--weight", 0.5, 1.5)
    divided, found = of_two("task_arithmetic", "--weight", 0.5, 1.5, "--normalize")
    np.testing.assert_allclose(2 * divided[MATRIX], summed[MATRIX], atol=1e-6)
    assert found["config"]["parameters"]["normalize"] is True


def test_flags_override_the_file(models, merged, tmp_path):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({
        "merge_method": "ties", "base_model": str(models[3]), "parameters": {"lambda": 3.0, "normalize": False},
        "models": [{"model": str(models[1]), "parameters": {"weight": 5, "density": 0.1}}], "out_dtype": "bfloat16"}))
    code, said = merged(tmp_path / "c.yaml", "--base-model", models[0], "--models", *models[1:3], "--weight", 0.5, 1,
                        "--density", 0.5, "--lambda", 0.8, "--normalize", "--dtype", "float32", "--out-path", tmp_path / "out")
    assert code == 0, said
    written = yaml.safe_load((tmp_path / "out" / "merge_config.yaml").read_text())
    assert written["base_model"] == str(models[0]) and written["out_dtype"] == "float32"
    assert written["parameters"] == {"lambda": 0.8, "normalize": True, "scope": "tensor"}
    assert written["models"] == [{"model": str(model), "parameters": {"weight": weight, "density": 0.5}}
                                 for model, weight in zip(models[1:3], (0.5, 1.0), strict=True)]


def test_shards_are_read_as_they_are_written(models, merged, tmp_path):
    shutil.copytree(models[0], tmp_path / "base")
    common = ("--method", "task_arithmetic", "--base-model", models[0])
    assert merged(*common, "--models", models[1], "--max-shard-size", "4kB", "--out-path", tmp_path / "shards")[0] == 0
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 3
    for model, out in ((tmp_path / "shards", "a"), (models[1], "b")):
        assert merged(*common, "--models", model, models[2], "--out-path", tmp_path / out)[0] == 0
    a, b = tensors_of(tmp_path / "a"), tensors_of(tmp_path / "b")
    for name in b:
        np.testing.assert_allclose(a[name], b[name], atol=1e-6, err_msg=name)


def test_another_way_to_compute_is_warned_of(models, merged, tmp_path):
    """Weights of the same shapes under other heads or another rotation."""
    other = write_tuned(tmp_path / "other", write_base(tmp_path / "heads", num_attention_heads=4, num_key_value_heads=2), 5)
    out = tmp_path / "out"
    assert merged("--method", "tsv_merge", "--base-model", models[0], "--models", models[1], other, "--out-path", out)[0] == 0
    warning, = json.loads((out / "merge.json").read_text())["warnings"]
    assert str(other) in warning and "num_heads" in warning and warning in (out / "README.md").read_text()
