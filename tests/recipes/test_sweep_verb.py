"""decompose → sweep → report on a small pair: resume, one task per run, no recompilation, moved runs."""

import json
import shutil

import pytest

from jaxtrunc.evals import Scorer
from jaxtrunc.recipes import evaluation


def results_of(run):
    return json.loads((run / "results.json").read_text())


def identity(record):
    return tuple(str(record[name]) for name in ("operator", "k", "param", "seed", "norm_matched", "split"))


def test_every_operator_is_there_with_its_ends(study):
    results = results_of(study)
    found = {identity(record)[:5] for record in results["records"]}
    assert {("base",), ("ft",)} <= {key[:1] for key in found}
    for operator in ("top_k", "bottom_k", "drop_top_k"):
        for k in (0, 1, 4, 16, 96):
            assert (operator, str(k), "None", "None", "False") in found
    assert {key[3] for key in found if key[0] == "random_k"} == {"0", "1"}
    assert ("interpolate", "None", "0.5", "None", "False") in found and ("interpolate", "4", "None", "None", "True") in found
    assert len(found) == len(results["records"])


def test_ends_of_the_sweep_are_the_checkpoints(study):
    by_key = {identity(record)[:3]: record for record in results_of(study)["records"]}
    for k, end in (("0", "base"), ("96", "ft")):
        assert by_key["top_k", k, "None"]["metrics"] == by_key[end, "None", "None"]["metrics"]
    for k, end in (("0", "ft"), ("96", "base")):
        assert by_key["drop_top_k", k, "None"]["metrics"] == by_key[end, "None", "None"]["metrics"]


def test_validation_records_carry_no_group_metrics(study):
    hidden = [json.loads(line) for line in (study / "records.jsonl").read_text().splitlines() if '"validation"' in line]
    assert hidden
    for record in hidden:
        assert record["groups"] == [] and record["per_attribute"] == {} and record["metrics"]["gap"] is None
        assert record["metrics"]["accuracy"] is not None


def test_resume_computes_only_what_is_missing(pair, study, jaxtrunc, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(study, run)
    lines = (run / "records.jsonl").read_text().splitlines(keepends=True)
    (run / "records.jsonl").write_text("".join(lines[:-3]) + lines[-3][:40])  # killed in the middle of a write
    (run / "results.json").unlink()
    scored = []
    original = Scorer.score
    monkeypatch.setattr(Scorer, "score", lambda self, params, rows: scored.append(rows.split) or original(self, params, rows))
    code, said = jaxtrunc("sweep", run, "--task", pair.task, "--ranks", "0,1,4,16,96", "--seeds", "0,1", "--alphas", "0.5",
                          "--match-norm", "--log-samples", "--resume")
    assert code == 0, said
    assert len(scored) == 3
    before, after = ({identity(r): r["metrics"] for r in results_of(path)["records"]} for path in (study, run))
    assert before == after


def test_nothing_recompiles_between_levels(pair, study, jaxtrunc, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(study, run, ignore=shutil.ignore_patterns("records.jsonl", "results.json", "samples"))
    scorers = []

    class Counted(Scorer):
        def __init__(self, *args):
            super().__init__(*args)
            scorers.append(self)

    monkeypatch.setattr(evaluation, "Scorer", Counted)
    code, said = jaxtrunc("sweep", run, "--task", pair.task, "--ranks", "0,1,2,3,8,96")
    assert code == 0, said
    sets = [eval_set(pair, split) for split in ("validation", "test")]
    shapes = {batch.tokens.shape for rows in sets for batch in rows.batches}
    prefixes = {len(rows.prefix) for rows in sets}
    assert scorers[0].compilations == len(shapes) + len(prefixes) and len(shapes) <= 2 and 0 not in prefixes


def eval_set(pair, split):
    from jaxtrunc.recipes.bench import open_bench

    return open_bench(pair.task, pair.task.parent, pair.base, ("test",)).eval_set(split, 32)


def test_another_task_is_refused(pair, study, refused, tmp_path):
    text = pair.task.read_text().replace("rows.jsonl", str(pair.task.parent / "rows.jsonl"))
    (tmp_path / "other.yaml").write_text(text.replace("Is the sentiment", "What is the sentiment"))
    refused("sweep", study, "--task", tmp_path / "other.yaml", "--resume", words=("another task",))


def test_a_run_may_be_moved(pair, study, jaxtrunc, tmp_path):
    shutil.copytree(study, tmp_path / "elsewhere")
    code, said = jaxtrunc("export", tmp_path / "elsewhere", "--rank", "4", "--format", "hf", "--out-path", tmp_path / "model")
    assert code == 0, said
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= {f.name for f in (tmp_path / "model").iterdir()}


def test_report_is_made_again_from_results_alone(study, jaxtrunc, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(study, run)
    (run / "report.html").unlink()
    (run / "records.jsonl").unlink()
    assert jaxtrunc("report", run)[0] == 0
    assert (run / "report.html").stat().st_size > 20_000


def test_files_are_strict_json(study):
    for name in ("manifest.json", "results.json"):
        json.loads((study / name).read_text(), parse_constant=pytest.fail)
    for line in (study / "records.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)


def test_residual_base_keeps_the_base_outside(pair, jaxtrunc, tmp_path):
    import numpy as np
    from little import rewrite
    from safetensors.numpy import load_file

    shutil.copytree(pair.ft, tmp_path / "ft")
    rewrite(tmp_path / "ft", lambda name, array: array * np.float32(1.1) if "norm" in name else array)
    run = tmp_path / "run"
    assert jaxtrunc("decompose", "--base-model", pair.base, "--model", tmp_path / "ft", "--out-path", run)[0] == 0
    for residual, source in (("base", pair.base), ("ft", tmp_path / "ft")):
        out = tmp_path / f"out-{residual}"
        code, said = jaxtrunc("export", run, "--rank", 3, "--residual", residual, "--format", "hf", "--out-path", out)
        assert code == 0, said
        np.testing.assert_array_equal(load_file(out / "model.safetensors")["model.norm.weight"],
                                      load_file(source / "model.safetensors")["model.norm.weight"])
