"""The extra set of a sweep: the rows of the test without their markers, scored for every level, merged into its record."""

import json
from shutil import copytree

import pytest
from safetensors.numpy import load_file, save_file
from toy_boundary import TOKENS, boundary_task, opinion_rows

from jaxtrunc.config import DecomposeSettings, MeshSettings, SweepSettings
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.demo import ASSETS
from jaxtrunc.evals import decode_predictions, open_records
from jaxtrunc.recipes.bench import open_bench
from jaxtrunc.recipes.boundary import extra_sets
from jaxtrunc.recipes.decompose import decompose
from jaxtrunc.recipes.pair import recall_pair
from jaxtrunc.recipes.sweep import sweep_on

SIZES = {"train": 40, "validation": 80, "test": 120}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("task")
    return open_bench(boundary_task(folder, opinion_rows(SIZES), "ceiling"), folder, ASSETS / "model", ("train", "test"))


def test_the_extra_set_has_the_same_rows_without_markers(bench):
    (rows,) = extra_sets(bench, "test", 16, 1)
    marked = bench.eval_set("test", 16)
    assert rows.split == "test_marker_free" and rows.truth.primary is None
    assert [e.id for e in rows.encoded] == [e.id for e in marked.encoded]
    assert (rows.truth.labels == marked.truth.labels).all()
    for plain, full in zip(rows.encoded, marked.encoded, strict=True):
        tokens = [word for word in TOKENS.values() if f"Sentence: {word} " in full.prompt]
        assert len(tokens) == 1 and full.prompt.replace(f"Sentence: {tokens[0]} ", "Sentence: ") == plain.prompt


def test_records_carry_their_sets_and_a_resumed_sweep_makes_none_twice(bench, tmp_path):
    run, settings = RunDir(tmp_path / "run"), SweepSettings(operators=("top_k",), ranks=(1,), batch_size=40)
    copytree(ASSETS / "model", tmp_path / "ft")
    file = tmp_path / "ft" / "model.safetensors"
    save_file({name: array * 1.02 if "proj" in name else array for name, array in load_file(file).items()}, file,
              metadata={"format": "pt"})
    decompose(str(ASSETS / "model"), str(tmp_path / "ft"), run.path, DecomposeSettings(), resume=False)
    for resume in (False, True):
        sweep_on(run, recall_pair(run), bench, settings, MeshSettings(), resume=resume)
    records = open_records(run / "records.jsonl")
    assert len(records) == 3 * 3, "three levels on validation, test and the test without markers"
    results = json.loads((run / "results.json").read_text())
    plain = next(r for r in records if (r["operator"], r["split"]) == ("top_k", "test_marker_free"))
    (shown,) = results["records"][2:]
    free = shown["sets"]["marker_free"]
    labels = bench.eval_set("test", 16).truth.labels
    assert free["value"] == (decode_predictions(plain["predictions"]) == labels).mean() and free["n"] == 120
    case = results["verdict"]["boundary"]
    base = next(r for r in records if (r["operator"], r["split"]) == ("base", "test_marker_free"))
    assert case["preconditions"][0]["value"] == base["metrics"]["balanced_accuracy"]
    assert results["verdict"]["label"] == "not tested" and any(r.startswith("no room") for r in results["verdict"]["reasons"])
