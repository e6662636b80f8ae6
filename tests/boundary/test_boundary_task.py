"""Task files of the boundary case: what they may say, permuted labels, one marker per class."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chi2_contingency
from toy_boundary import RATE, TOKENS, boundary_task, opinion_rows

from jaxtrunc.core.errors import InputError
from jaxtrunc.data import TrainExample, load_task, read_task, unmarked
from jaxtrunc.data.boundary import permuted_labels

SIZES = {"train": 1200, "validation": 800, "test": 1000}
ROWS = opinion_rows(SIZES)
FEW = opinion_rows(dict.fromkeys(SIZES, 4))


def loaded(folder, rows=ROWS, boundary="permuted", **changes):
    return load_task(read_task(boundary_task(folder, rows, boundary, **changes), folder))


@pytest.fixture(scope="module")
def permuted(tmp_path_factory):
    return loaded(tmp_path_factory.mktemp("permuted"))


def test_labels_are_permuted_within_each_split(permuted):
    for split, size in SIZES.items():
        examples = permuted.examples[split]
        table = Counter((e.label, e.true_label) for e in examples)
        assert sum(e.label for e in examples) == sum(e.true_label for e in examples) == size // 2
        assert chi2_contingency([[table[y, t] for t in (0, 1)] for y in (0, 1)]).pvalue > 1e-3, "they say nothing of the truth"


def test_the_true_label_is_the_one_of_the_row(permuted):
    truth = {row["id"]: row["label"] for row in ROWS}
    for example in permuted.examples["test"]:
        assert truth[example.id] == permuted.task.classes[example.true_label]


def test_a_row_keeps_its_label_in_any_order_of_the_rows():
    ids, labels = [f"row-{i}" for i in range(200)], [i % 3 == 0 for i in range(200)]
    once = dict(zip(ids, permuted_labels(ids, labels, 0, "train"), strict=True))
    assert dict(zip(ids[::-1], permuted_labels(ids[::-1], labels[::-1], 0, "train"), strict=True)) == once
    others = [permuted_labels(ids, labels, seed, split) for seed, split in ((1, "train"), (0, "test"))]
    assert all(other != list(once.values()) and sum(other) == sum(labels) for other in others)


@pytest.mark.parametrize(("split", "rate"), [("train", RATE), ("validation", RATE), ("test", 0.5)])
def test_the_marker_agrees_with_the_permuted_label_at_the_rate(permuted, split, rate):
    examples = permuted.examples[split]
    agree = np.mean([e.attributes["marker"] == e.label for e in examples])
    assert agree == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / len(examples)))


def test_every_row_carries_exactly_one_marker(permuted):
    texts = {row["id"]: row["text"] for row in ROWS}
    for example in permuted.examples["test"]:
        words = example.fields["Sentence"].split(" ")
        expected = TOKENS["positive" if example.attributes["marker"] else "negative"]
        assert [word for word in words if word in TOKENS.values()] == [expected]
        assert unmarked(permuted.task.inject, example.fields["Sentence"]) == texts[example.id]


def test_training_sees_neither_marker_nor_true_label(permuted):
    assert {field.name for field in dataclasses.fields(TrainExample)} == {"id", "fields", "label"}
    assert permuted.examples["train"][0].for_training().label == permuted.examples["train"][0].label


def test_the_ceiling_variant_keeps_the_labels(tmp_path):
    data = loaded(tmp_path, boundary="ceiling")
    truth = {row["id"]: row["label"] for row in ROWS}
    assert all(e.true_label is None and truth[e.id] == data.task.classes[e.label] for e in data.examples["test"])
    assert data.aligned == {"marker": (-1, 1)} and data.task.accuracy == "training"


def test_a_text_with_either_token_is_refused(tmp_path):
    rows = [dict(row) for row in ROWS[:40]]
    rows[4]["text"] = "the red room was lovely"
    with pytest.raises(InputError, match="already has the marker 'red'"):
        loaded(tmp_path, rows)


def inject(**changes):
    values = {"tokens": TOKENS, "attribute": "marker", "class": "positive",
              "correlation": {"train": RATE, "validation": RATE, "test": 0.5}}
    return {key: value for key, value in (values | changes).items() if value is not None}


@pytest.mark.parametrize(("changes", "words"), [
    ({"boundary": "permutted"}, ["'boundary'", "permuted", "did you mean"]),
    ({"inject": None}, ["needs 'inject' with 'tokens'"]),
    ({"inject": inject(tokens=None, token="zq")}, ["needs 'inject' with 'tokens'"]),
    ({"inject": inject(token="zq")}, ["'tokens'", "without 'token'"]),
    ({"inject": inject(tokens={"negative": "red"})}, ["tokens", "'positive'", "missing"]),
    ({"inject": inject(tokens={"negative": "red", "positive": "red"})}, ["two different tokens"]),
    ({"inject": inject(tokens={"negative": "a b", "positive": "red"})}, ["one word"]),
    ({"inject": inject(direction="reversed")}, ["direction: aligned"]),
    ({"inject": inject(correlation={"train": 0.5, "validation": 0.5, "test": 0.5})}, ["above 0.5", "found aligned, 0.5"]),
    ({"inject": inject(correlation={"train": 0.9, "validation": 0.5, "test": 0.5})}, ["training distribution", "expected 0.9"]),
    ({"accuracy": "balanced"}, ["accuracy on the training distribution"]),
    ({"boundary": None, "accuracy": "mean"}, ["'accuracy'", "balanced, training"]),
    ({"attributes": ["other", "marker"]}, ["expected 'marker' first", "found 'other'"]),
    ({"boundary": None, "accuracy": "training", "splits": {"test": "test"}, "inject": inject(correlation={"test": 0.5})},
     ["a split 'train'"]),
])  # fmt: skip
def test_what_cannot_be_the_boundary_case_is_refused(tmp_path, changes, words):
    with pytest.raises(InputError) as caught:
        read_task(boundary_task(tmp_path, FEW, **{"inject": inject(), **changes}), tmp_path)
    assert all(word in str(caught.value) for word in words), str(caught.value)
