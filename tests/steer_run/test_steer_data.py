"""Real data: what the rows of the three tasks are, read back from their tokens; the measures beside transformers."""

from pathlib import Path

import numpy as np
import pytest

from jaxtrunc.recipes.steer.real.refusals import refusals
from jaxtrunc.recipes.steer.real.selfaware import ABSTENTION, selfaware
from jaxtrunc.recipes.steer.real.talk import open_talk
from jaxtrunc.recipes.steer.real.tofu import tofu
from jaxtrunc.recipes.steer.rows import checked
from jaxtrunc.recipes.steer.task import TaskSettings


@pytest.fixture(scope="module")
def opened(shared_data):
    """`opened(task, name, rows)`."""
    def run(task, name, rows=None):
        return task(TaskSettings(name, "models/stories260k", ".", rows), shared_data, Path(), None)

    return run


@pytest.fixture(scope="module")
def said(shared_data):
    """Tokens and labels of a table → the texts of prompts with answers, and of answers alone."""
    tokenizer = open_talk(TaskSettings("any", "models/stories260k"), shared_data, None).chat.tokenizer

    def run(table, side):
        whole = [row[mask] for row, mask in zip(table[f"{side}_tokens"], table[f"{side}_mask"], strict=True)]
        answers = [row[row >= 0] for row in table[f"{side}_labels"]]
        return [[tokenizer.decode(row, skip_special_tokens=True) for row in side] for side in (whole, answers)]

    return run


def test_tofu_forgets_200_pairs_and_keeps_others(opened, said):
    task = opened(tofu, "tofu")
    checked(task.tables)
    forget, _ = said(task.tables["forget"], "forget")
    retain, _ = said(task.tables["retain"], "retain")
    assert len(forget) == len(set(forget)) == 200 and len(retain) == 200 and not set(forget) & set(retain)
    assert all("\nAnswer:" in row for row in forget if len(row) < 150)


def test_refusals_are_preferred_and_xstest_is_for_testing_only(opened, said, shared_data):
    task = opened(refusals, "refusals", rows=40)
    checked(task.tables)
    chosen, refused = said(task.tables["pairs"], "chosen")
    _, openings = said(task.tables["pairs"], "rejected")
    assert len(chosen) == 40 and 3 <= len({row.strip() for row in refused}) <= 5
    assert all(row.strip().startswith("Sure") for row in openings)
    from jaxtrunc.core.jsonio import read_lines

    tested = [row["prompt"] for row in read_lines(shared_data / "xstest/prompts.jsonl")]
    trained = chosen + said(task.tables["helpful"], "helpful")[0]
    assert not any(row.startswith(f"{prompt}\n") for prompt in tested for row in trained)


def test_selfaware_pairs_an_invented_answer_with_an_abstention(opened, said):
    task = opened(selfaware, "selfaware", rows=40)
    checked(task.tables)
    table = task.tables["rows"]
    invented, _ = said(table, "span")
    corrected, abstained = said(table, "corrected")
    assert {row.strip() for row, whole in zip(abstained, corrected, strict=True) if len(whole) < 150} == {ABSTENTION}
    questions = [[row.split("\nAnswer:")[0][:60] for row in side] for side in (invented, corrected)]
    assert questions[0] == questions[1]


def test_measures_are_those_of_transformers(opened, shared_data):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    place = shared_data / "models/stories260k"
    talk = open_talk(TaskSettings("any", str(place)), Path(), None)
    table = talk.table("asked", ["Who is there?", "What did the cat eat?"], ["Tom.", "A big red ball."])
    found = talk.said(talk.params, table)
    model = transformers.AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32)
    with torch.no_grad():
        logits = model(torch.tensor(table["asked_tokens"], dtype=torch.long)).logits.double()
    labels = torch.tensor(table["asked_labels"], dtype=torch.long)
    expected = torch.where(labels >= 0, logits.log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0], 0).sum(1)
    np.testing.assert_allclose(found.log_prob, expected.numpy(), rtol=1e-4)
    np.testing.assert_array_equal(found.tokens, (labels >= 0).sum(1).numpy())
    np.testing.assert_array_equal(found.right, ((logits.argmax(-1) == labels) & (labels >= 0)).sum(1).numpy())
