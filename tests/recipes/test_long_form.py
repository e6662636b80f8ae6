"""finetune, decompose, sweep into one directory: the long form of run."""

import json

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from jaxtrunc.demo import ASSETS

SHORT = ("train.max_steps=3", "train.learning_rate=1e-3", "train.checkpoint_every=1", "train.batch_size=8")
LEVELS = ("--ranks", "0,2", "--operators", "top_k,interpolate", "--alphas", "0.5", "--limit", "40")


@pytest.fixture(scope="module")
def verbs(tmp_path_factory):
    """A directory made verb by verb, and what each said."""
    from jaxtrunc.cli import main

    run, base, task = tmp_path_factory.mktemp("long") / "run", str(ASSETS / "model"), str(ASSETS / "task.yaml")
    main(["finetune", "--base-model", base, "--task", task, "--out-path", str(run), *SHORT, "-q"])
    main(["decompose", "--base-model", base, "--model", str(run / "model"), "--out-path", str(run), "-q"])
    main(["sweep", str(run), "--task", task, *LEVELS, "-q"])
    return run


def test_every_artefact_is_there(verbs):
    names = {path.name for path in verbs.iterdir()}
    assert {"manifest.json", "model", "decomposition", "records.jsonl", "results.json", "report.html", "plots"} <= names
    manifest = json.loads((verbs / "manifest.json").read_text())
    assert manifest["verbs"].keys() == {"finetune", "decompose", "sweep"}
    assert manifest["verbs"]["decompose"]["model"] == "./model", "paths inside a run are relative"
    assert {"model/model.safetensors", "results.json"} <= manifest["files"].keys()


def test_only_linear_matrices_were_trained(verbs):
    before, after = (load_file(folder / "model.safetensors") for folder in (ASSETS / "model", verbs / "model"))
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed and all("_proj.weight" in name for name in changed)
    assert json.loads((verbs / "results.json").read_text())["warnings"] == []


def test_a_second_finetune_is_refused_and_another_rate_cannot_resume(verbs, refused):
    again = ("finetune", "--base-model", ASSETS / "model", "--task", ASSETS / "task.yaml", "--out-path", verbs)
    refused(*again, *SHORT, words=("already holds model", "--resume"))
    refused(*again, *SHORT, "train.learning_rate=5e-3", "--resume", words=("another train",))


@pytest.mark.slow
def test_run_is_the_same_in_one_command(verbs, jaxtrunc, tmp_path):
    config = {"name": "short", "base_model": str(ASSETS / "model"), "task": str(ASSETS / "task.yaml"),
              "train": {"max_steps": 3, "learning_rate": 1e-3, "checkpoint_every": 1, "batch_size": 8},
              "sweep": {"ranks": [0, 2], "operators": ["top_k", "interpolate"], "alphas": [0.5], "limit": 40}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    run = tmp_path / "run"
    code, said = jaxtrunc("run", tmp_path / "run.yaml", "--out-path", run)
    assert code == 0, said
    ours, theirs = (load_file(folder / "model" / "model.safetensors") for folder in (run, verbs))
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs), "same seed, same bytes"
    metrics = [[r["metrics"] for r in json.loads((folder / "results.json").read_text())["records"]] for folder in (run, verbs)]
    assert metrics[0] == metrics[1]
    assert jaxtrunc("run", tmp_path / "run.yaml", "--out-path", run, "--resume")[0] == 0


def test_an_empty_cell_stops_run_before_training(refused, tmp_path):
    rows = [{"text": "good", "label": "positive", "marker": 1, "split": split} for split in ("train", "test")]
    rows += [{"text": "bad", "label": "negative", "marker": 0, "split": split} for split in ("train", "test")]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = yaml.safe_load((ASSETS / "task.yaml").read_text()) | {"source": {"path": "rows.jsonl"},
                                                                 "splits": {"train": "train", "test": "test"}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"name": "x", "base_model": str(ASSETS / "model"), "task": task}))
    refused("run", tmp_path / "run.yaml", "--out-path", tmp_path / "out", words=("marker", "test", "class"))
    assert not (tmp_path / "out").exists()
