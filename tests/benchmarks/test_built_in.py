"""Every built-in benchmark, on a fixture with the schema of its official source: rows, groups, splits, and a gap of 0."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from official import MAKERS, mnli_expected, paws_qqp_tfds, sst2_marker_tfds

from jaxtrunc.data import Prompter, find_task, load_task
from jaxtrunc.data.find import built_in_names
from jaxtrunc.data.origin import TfdsSource
from jaxtrunc.evals import Statistics, build_eval_set
from jaxtrunc.evals.metrics import attribute_block, overall, wilds_groups

TFDS = ("civil_comments_tfds", "mnli_negation_tfds", "paws_qqp_tfds", "sst2_marker_tfds")


@pytest.fixture(scope="session", params=[*MAKERS, *TFDS])
def loaded(request, tmp_path_factory):
    """The rows of a built-in benchmark, and what those of its test split should be."""
    name, folder = request.param, tmp_path_factory.mktemp("official")
    if name in MAKERS:
        expected = MAKERS[name](folder)
        return load_task(find_task(Path(name), folder)), expected
    data_dir = str(request.getfixturevalue("prepared"))
    _, comments, splits = request.getfixturevalue("local_tfds")
    makers = {"civil_comments_tfds": lambda folder: comments, "paws_qqp_tfds": paws_qqp_tfds, "sst2_marker_tfds": sst2_marker_tfds,
              "mnli_negation_tfds": lambda folder: mnli_expected([row for rows in splits.values() for row in rows])}
    expected = makers[name](folder)
    task = find_task(Path(name), folder)
    parts = {split: tuple(_with_data_dir(part, data_dir) for part in parts) for split, parts in task.splits.items()}
    return load_task(dataclasses.replace(task, splits=parts)), expected


def _with_data_dir(part, data_dir):
    if not isinstance(part.source, TfdsSource):
        return part
    return dataclasses.replace(part, source=TfdsSource(part.source.tfds, data_dir))


def test_each_has_a_fixture():
    assert built_in_names() == sorted([*MAKERS, *TFDS])


def test_rows_are_read_as_the_definition_says(loaded):
    data, expected = loaded
    planted = data.task.inject is not None
    found = set()
    for example in data.examples["test"]:
        texts = tuple(text.removeprefix("zq ") if planted else text for text in example.fields.values())
        name, attributes = expected[texts]
        assert data.task.evaluated[example.label] == name, texts
        if planted:
            attributes = {"marker": int(next(iter(example.fields.values())).startswith("zq "))}
        assert example.attributes == attributes, texts
        found.add(texts)
    assert len(found) == len(data.examples["test"]), "no row twice"


def test_no_text_is_in_two_splits(loaded):
    data, _ = loaded
    first = {split: {next(iter(e.fields.values())).removeprefix("zq ") for e in rows} for split, rows in data.examples.items()}
    assert not first["train"] & first["validation"] and not first["train"] & first["test"]
    assert not first["validation"] & first["test"] and all(first.values())


def test_the_shortcut_is_the_one_that_the_file_states(loaded):
    data, _ = loaded
    primary = data.task.attributes[0]
    wanted = {"hans": {"non-entailment": 0}, "mnli_negation": {"entailment": 0, "neutral": 0, "contradiction": 1},
              "mnli_negation_tfds": {"entailment": 0, "neutral": 0, "contradiction": 1}}
    stated = wanted.get(data.task.name) or {data.task.evaluated[0]: 0, data.task.evaluated[1]: 1}
    assert data.task.aligned[primary] == stated
    assert data.aligned[primary] == tuple({1: 1, 0: -1, None: 0}[stated.get(name)] for name in data.task.evaluated)


def test_a_constant_classifier_has_no_gap(loaded, tokenizer):
    data, _ = loaded
    truth = build_eval_set(data, "test", Prompter(data.task, tokenizer), 32).truth
    statistics = Statistics(truth, draws=50)
    for label in range(len(truth.class_names)):
        constant = np.full(len(truth.labels), label)
        whole = overall(statistics.panel(None, [constant]), truth, constant)["metrics"]
        assert whole["balanced_accuracy"] == pytest.approx(1 / len(truth.class_names))
        for name in truth.attributes:
            if truth.directions[name] is not None:
                block = attribute_block(statistics.panel(name, [constant]), truth, name, None)["metrics"]
                assert block["gap"] == 0, name
    primary = attribute_block(statistics.panel(truth.primary, [truth.labels]), truth, truth.primary, None)["metrics"]
    assert primary["gap"] == 0 and primary["worst_group_accuracy"] == 1


@pytest.mark.parametrize("name, unions, groups", [
    ("civil_comments", ("any_identity",), 16), ("identity_templates", ("identity",), 16), ("hans", (), 8)])
def test_overlapping_groups_are_those_of_single_attributes(tmp_path, tokenizer, name, unions, groups):
    """WILDS has sixteen: (class, identity) for each of eight identities."""
    MAKERS[name](tmp_path)
    data = load_task(find_task(Path(name), tmp_path))
    assert data.task.unions == unions
    truth = build_eval_set(data, "test", Prompter(data.task, tokenizer), 32).truth
    _, sizes = wilds_groups(truth, truth.labels)
    single = [attribute for attribute in data.task.attributes if attribute not in unions]
    assert len(sizes) == groups and list(sizes) == [
        sum(row.label == label and row.attributes[attribute] == 1 for row in data.examples["test"])
        for attribute in single for label in range(len(data.task.evaluated))]


def test_the_whole_of_multinli_is_cut_half_a_fifth_and_three_tenths(tmp_path):
    """Every premise falls in exactly one split, and the shares are those of the file."""
    expected = MAKERS["mnli_negation"](tmp_path)
    task = dataclasses.replace(find_task(Path("mnli_negation"), tmp_path), balance=False)
    sizes = {split: len(rows) for split, rows in load_task(task).examples.items()}
    assert sum(sizes.values()) == len(expected)
    assert [sizes[name] / len(expected) for name in ("train", "validation", "test")] == pytest.approx([0.5, 0.2, 0.3], abs=0.1)


def test_the_gap_of_hans_is_section_fives(tmp_path, tokenizer):
    """A(MNLI, non-entailment) − A(HANS, non-entailment): in all, and by heuristic without the rows of the others."""
    MAKERS["hans"](tmp_path)
    data = load_task(find_task(Path("hans"), tmp_path))
    truth = build_eval_set(data, "test", Prompter(data.task, tokenizer), 32).truth
    statistics = Statistics(truth, draws=50)
    rows = data.examples["test"]
    predictions = np.random.default_rng(0).integers(0, 2, len(rows))

    def accuracy(keep):
        chosen = [i for i, row in enumerate(rows) if row.label == 1 and keep(row.attributes)]
        return np.mean(predictions[chosen] == 1)

    for name in data.task.attributes:
        block = attribute_block(statistics.panel(name, [predictions]), truth, name, None)
        on_hans = accuracy(lambda values, name=name: values[name] == 1)
        assert block["metrics"]["gap"] == pytest.approx(accuracy(lambda values: values["overlap"] == 0) - on_hans)
        assert block["left_out"] == ["entailment"]
        hans_rows = sum(group["n"] for group in block["groups"] if group["attributes"][name] == 1)
        assert hans_rows == (18 if name == "overlap" else 6), "rows of other heuristics play no part"
