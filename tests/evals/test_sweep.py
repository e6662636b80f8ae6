"""The loop over levels: records on disk one by one, resume, samples, what is skipped."""

import gzip
import hashlib
import json

import numpy as np
import pytest
from tiny_eval import CONFIG, random_params, random_set

from jaxtrunc.evals import Applied, Scorer, Sweep, open_records, record_key
from jaxtrunc.models import Execution

SETS = [random_set(split="validation", seed=1), random_set()]
LEVELS = [("ft", None, 0), ("base", None, 9), ("top_k", 1, 2), ("top_k", 4, 3)]


class Killed(Exception):
    pass


def levels(applied, stop_at=None):
    """Levels whose weights are random in a seed of their own; `applied` notes which were asked for."""

    def params(name, k, seed):
        def apply():
            if (name, k) == stop_at:
                raise Killed
            applied.append((name, k))
            return Applied(random_params(seed), {"max_norm_factor": 1.5, "roundoff": None})
        return apply

    for name, k, seed in LEVELS:
        yield {"operator": name, "k": k, "residual": "ft", "scope": "per_leaf"}, params(name, k, seed)


@pytest.fixture(scope="module")
def scorer():
    return Scorer(CONFIG, Execution())


def sweep(run, scorer, applied, log_samples=False, **how):
    loop = Sweep(run, scorer, SETS, dtype="float32", log_samples=log_samples)
    return loop.run(levels(applied, **how), lambda steps=1, note="": None)


def test_every_level_on_every_split(tmp_path, scorer):
    outcome = sweep(tmp_path, scorer, [])
    assert [(r["operator"], r["k"], r["split"]) for r in outcome.records] == [
        (name, k, split) for name, k, _ in LEVELS for split in ("validation", "test")]
    assert open_records(tmp_path / "records.jsonl") == outcome.records
    last = outcome.records[-1]
    assert last["max_norm_factor"] == 1.5 and last["comparison"]["loss_pp"] and last["comparison"]["mcnemar_p"]
    assert last["intervals"]["worst_group_accuracy"], "the worst group is known from validation"
    assert outcome.records[1]["comparison"]["loss_pp"]["value"] == 0, "FT is compared with itself"
    assert outcome.records[-2]["groups"] == [] and outcome.records[-2]["comparison"]["loss_pp"]
    want = scorer.score(random_params(3), SETS[1])
    assert last["metrics"]["accuracy"] == pytest.approx((want.predictions == SETS[1].truth.labels).mean())


def test_resume_adds_only_what_is_missing(tmp_path, scorer):
    (tmp_path / "whole").mkdir()
    whole = sweep(tmp_path / "whole", scorer, [])
    with pytest.raises(Killed):
        sweep(tmp_path, scorer, [], stop_at=("top_k", 4))
    file = tmp_path / "records.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    assert len(lines) == 6
    file.write_text("".join(lines[:5]) + lines[5][:40])  # killed in a write: the test record of top_k 1 is torn
    applied = []
    again = sweep(tmp_path, scorer, applied)
    assert applied == [("top_k", 1), ("top_k", 4)]
    by_key = {record_key(record): record for record in again.records}
    assert by_key == {record_key(record): record for record in whole.records}
    assert [json.loads(line) for line in file.read_text().splitlines()] == again.records
    assert sweep(tmp_path, scorer, applied).records == again.records and len(applied) == 2


def test_samples_say_what_the_model_saw(tmp_path, scorer):
    records = sweep(tmp_path, scorer, [], log_samples=True).records
    assert len({record["samples"] for record in records}) == len(records)
    record = records[-1]
    raw = (tmp_path / record["samples"]).read_bytes()
    assert hashlib.sha256(raw).hexdigest() == record["samples_sha256"]
    rows = [json.loads(line) for line in gzip.decompress(raw).splitlines()]
    want = scorer.score(random_params(3), SETS[1])
    assert set(rows[0]) == {"id", "prompt", "input_ids", "label", "attributes", "prediction", "scores"}
    assert [row["input_ids"] for row in rows] == [each.input_ids for each in SETS[1].encoded]
    np.testing.assert_array_equal(np.array([row["scores"] for row in rows], np.float32), want.scores)
    assert [row["prediction"] for row in rows] == [SETS[1].truth.class_names[p] for p in want.predictions]
    assert rows[3]["attributes"] == {"marker": 1} and rows[3]["label"] == "b"
    assert not [file for file in (tmp_path / "samples").iterdir() if file.name.startswith(".")]


def test_a_level_that_cannot_be_made_is_a_warning(tmp_path, scorer):
    bad = {"operator": "bottom_k", "k": 2, "norm_matched": True}
    level = [(bad, lambda: Applied({}, skipped="its norm is 0"))]
    loop = Sweep(tmp_path, scorer, SETS, dtype="float32", log_samples=False)
    outcome = loop.run(level, lambda steps=1, note="": None)
    assert outcome.records == [] and outcome.warnings == ["bottom_k k=2 norm-matched was skipped: its norm is 0"]


def test_progress_counts_levels(tmp_path, scorer):
    notes = []
    loop = Sweep(tmp_path, scorer, SETS, dtype="float32", log_samples=False)
    loop.run(levels([]), lambda steps=1, note="": notes.append((steps, note)))
    assert notes == [(1, "ft"), (1, "base"), (1, "top_k k=1"), (1, "top_k k=4")]
