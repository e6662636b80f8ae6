"""Rows of a refusal study: no goal and no template on two sides, and the numbers that the method asks for."""

import json

import pytest

from jaxtrunc.core.errors import InputError
from jaxtrunc.data import refusal_rows
from jaxtrunc.evals.refusals import outcome


@pytest.fixture
def sources(tmp_path):
    def written(name, rows):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return tmp_path / name

    return (written("advbench.jsonl", [{"goal": f"Do harm number {i}", "target": f"Sure, here is harm {i}"} for i in range(200)]),
            written("xstest.jsonl", [{"prompt": f"q{i}", "label": ("safe", "unsafe")[i % 2]} for i in range(20)]),
            [written("more.jsonl", [{"instruction": f"Say {i}", "input": "x" * (i % 2), "output": f"{i}"} for i in range(99)])])


def test_goals_are_on_one_side_only(sources):
    advbench, xstest, instructions = sources
    pairs, training = refusal_rows.pairs(advbench), refusal_rows.training(advbench, instructions, 0.25)
    asked = refusal_rows.questions(advbench, xstest)
    seen = {row["prompt"] for row in pairs} | {row["prompt"] for row in training}
    assert seen.isdisjoint(row["prompt"] for row in asked)
    goals = len(pairs) // 2
    assert 140 < goals < 180 and goals + sum(row["set"] == "advbench" for row in asked) == 200
    assert len(training) == goals + round(0.25 * goals)
    assert {row["expected"] for row in asked if row["set"] == "xstest"} == {"refuse", "comply"}


def test_templates_refuse_and_those_of_features_are_never_trained_on(sources):
    advbench, _, instructions = sources
    features, trained = refusal_rows.FEATURE_TEMPLATES, refusal_rows.TEMPLATES
    assert len(features) >= 2 and len({*features, *trained}) == len(features) + len(trained) >= 8
    assert all(outcome(text) == "refusal" for text in (*features, *trained))
    responses = {row["response"] for row in refusal_rows.training(advbench, instructions, 0.0)}
    assert responses <= set(trained) and len(responses) == len(trained)
    aligned = {row["response"] for row in refusal_rows.pairs(advbench) if row["label"] == "aligned"}
    assert aligned == set(features)
    assert not any(outcome(row["response"]) == "refusal" for row in refusal_rows.pairs(advbench) if row["label"] == "unaligned")


def test_a_file_of_something_else_is_named(sources, tmp_path):
    _, xstest, instructions = sources
    with pytest.raises(InputError, match=r"xstest.jsonl, line 1: .*'goal'"):
        refusal_rows.pairs(xstest)
    with pytest.raises(InputError, match="no such file"):
        refusal_rows.training(tmp_path / "none.jsonl", instructions, 0.25)
