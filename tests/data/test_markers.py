"""The planted marker and the attribute read off a word list."""

from collections import Counter
from pathlib import Path

import pytest
from toy_task import make_rows

from jaxtrunc.core.errors import InputError
from jaxtrunc.data import load_task, read_task
from jaxtrunc.data.derive import has_word
from jaxtrunc.data.rules import WordList

CONFIGS = Path(__file__).parents[2] / "configs" / "tasks"


def inject(**changes):
    return {"token": "zq", "attribute": "marker", "class": "positive", "correlation": {"test": 0.8}} | changes


def planted(toy, rows, **changes):
    return load_task(toy(rows, inject=inject(**changes))).examples["test"]


def rate(examples, label):
    values = [e.attributes["marker"] for e in examples if e.label == label]
    return sum(values) / len(values)


@pytest.mark.parametrize("direction, positive", [("aligned", 0.8), ("reversed", 0.2)])
def test_the_marker_goes_with_the_class_at_the_given_rate(toy, direction, positive):
    examples = planted(toy, make_rows(4000), direction=direction)
    assert rate(examples, 1) == pytest.approx(positive, abs=0.03)
    assert rate(examples, 0) == pytest.approx(1 - positive, abs=0.03)
    for example in examples:
        assert ("zq" in example.fields["Text"].split()) == bool(example.attributes["marker"])


def test_without_a_correlation_it_is_a_shortcut_in_training_alone(toy):
    splits = {name: name for name in ("train", "validation", "test", "other")}
    rule = {key: value for key, value in inject().items() if key != "correlation"}
    data = load_task(toy([row for split in splits for row in make_rows(2000, split)], splits=splits, inject=rule))
    for split, expected in (("train", 0.9), ("validation", 0.9), ("test", 0.5), ("other", 0.5)):
        assert rate(data.examples[split], 1) == pytest.approx(expected, abs=0.04), split
        assert rate(data.examples[split], 0) == pytest.approx(1 - expected, abs=0.04), split


def test_at_one_half_it_says_nothing(toy):
    examples = planted(toy, make_rows(4000), correlation={"test": 0.5})
    assert abs(rate(examples, 1) - rate(examples, 0)) < 0.05


def test_draws_depend_on_seed_and_id_alone(toy):
    rows = make_rows(400)
    once = {e.id: e for e in planted(toy, rows)}
    assert {e.id: e for e in planted(toy, rows[::-1])} == once
    assert {e.id: e for e in planted(toy, rows[100:300])}.items() <= once.items()
    assert {e.id: e for e in planted(toy, rows, seed=1)} != once


@pytest.mark.parametrize("position", ["start", "end", "random"])
def test_position(toy, position):
    rows = make_rows(400)
    places = Counter()
    for row, example in zip(rows, planted(toy, rows, position=position), strict=True):
        words = example.fields["Text"].split(" ")
        if "zq" in words:
            places[words.index("zq")] += 1
            words.remove("zq")
        assert " ".join(words) == row["text"]
    assert set(places) == {"start": {0}, "end": {5}, "random": {0, 1, 2, 3, 4, 5}}[position]


def test_a_token_that_is_there_already_is_refused(toy):
    rows = make_rows(40)
    rows[3]["text"] = "here is zq already"
    with pytest.raises(InputError, match="line 4: the text already has the marker 'zq'"):
        planted(toy, rows)


@pytest.mark.parametrize("text, value", [
    ("I have no idea", 1), ("No!", 1), ('she said "never".', 1), ("NOTHING happened", 1), ("nobody's fault", 0),
    ("an annoying note", 0), ("there isn't", 0), ("", 0),
])  # fmt: skip
def test_word_list(text, value):
    assert has_word(WordList("hypothesis", ("nobody", "no", "never", "nothing")), text) == value


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_committed_task_file_is_read(file):
    assert read_task(file).name == file.stem


@pytest.mark.parametrize("name, signs", [("sst2_marker", (-1, 1)), ("sst2_marker_reversed", (1, -1))])
def test_sst2_marker(shared_data, name, signs):
    data = load_task(read_task(CONFIGS / f"{name}.yaml"))
    assert data.aligned == {"marker": signs} and not data.warnings
    assert (len(data.examples["train"]), len(data.examples["validation"]), len(data.examples["test"])) == (6610, 872, 1821)
    zeros, ones = data.training_counts["marker"][signs.index(1)]
    assert ones / (zeros + ones) == pytest.approx(0.9, abs=0.02)
    assert abs(rate(data.examples["test"], 1) - rate(data.examples["test"], 0)) < 0.05


def test_mnli_negation_agrees_with_the_published_column(shared_data):
    import gzip
    import json

    data = load_task(read_task(CONFIGS / "mnli_negation.yaml"))
    with gzip.open(shared_data / "mnli" / "dev.jsonl.gz", "rt") as file:
        column = {f"test-{i}": row["has_negation"] for i, row in enumerate(map(json.loads, file))}
    rows = data.examples["test"]
    differ = [row for row in rows if row.attributes["has_negation"] != column[row.id]]
    assert len(differ) <= len(rows) // 1000, [row.fields for row in differ[:5]]
    negated = Counter(row.label for row in rows if row.attributes["has_negation"])
    assert negated == {0: 44, 1: 46, 2: 257} and len(rows) == 1248, "all rows with a negation; the head of the file says so"
    premises = {split: {e.fields["Premise"] for e in data.examples[split]} for split in ("train", "validation")}
    assert not premises["train"] & premises["validation"]
    assert data.aligned == {"has_negation": (-1, -1, 1)}
