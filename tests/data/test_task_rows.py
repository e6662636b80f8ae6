"""Rows become examples: labels, attributes, ids, bad rows, balance, samples, empty cells, alignment, hash."""

import dataclasses
import math
import random
from collections import Counter

import numpy as np
import pytest
from toy_task import make_rows

from jaxtrunc.core.errors import InputError
from jaxtrunc.data import TrainBatch, TrainExample, load_task
from jaxtrunc.data.alignment import measured_signs
from jaxtrunc.data.examples import read_split


def labels_and_marker(label, marker):
    return [make_rows()[0] | {"label": label, "marker": marker}]


@pytest.mark.parametrize("label, index", [("negative", 0), ("positive", 1), (0, 0), (1, 1), ("1", 1), (1.0, 1), (True, 1)])
@pytest.mark.parametrize("marker, bit", [(0, 0), (1, 1), (True, 1), (False, 0), ("1", 1), ("true", 1), ("False", 0), (1.0, 1)])
def test_labels_and_attributes_in_many_spellings(toy, label, index, marker, bit):
    examples, faults = read_split(toy(labels_and_marker(label, marker)), "test")
    assert (examples[0].label, examples[0].attributes, faults) == (index, {"marker": bit}, [])


def test_a_class_named_like_a_number_is_a_name(toy):
    task = toy(labels_and_marker(1, 0), classes=["1", "0"], label_words=None, aligned={})
    assert read_split(task, "test")[0][0].label == 0


@pytest.mark.parametrize("change, words", [
    ({"label": "neutral"}, ["'neutral'", "negative, positive", "0 to 1"]),
    ({"label": 2}, ["label 2"]),
    ({"label": None}, ["label None"]),
    ({"label": 0.5}, ["label 0.5"]),
    ({"label": math.nan}, ["label nan"]),
    ({"text": None}, ["'text'", "string", "None"]),
    ({"text": 7}, ["'text'", "7"]),
    ({"marker": 0.7}, ["'marker'", "0 or 1", "0.7"]),
    ({"marker": None}, ["'marker'", "None"]),
    ({"id": ""}, ["'id'", "empty"]),
])  # fmt: skip
def test_a_bad_row_is_named_or_skipped_and_counted(toy, change, words):
    rows = make_rows(40)
    rows[4] |= change
    with pytest.raises(InputError) as caught:
        load_task(toy(rows))
    assert "rows.jsonl, line 5" in str(caught.value) and "on_bad_row: skip" in str(caught.value)
    assert all(word in str(caught.value) for word in words), caught.value
    data = load_task(toy(rows, on_bad_row="skip"))
    assert len(data.examples["test"]) == 39 and "test-4" not in [e.id for e in data.examples["test"]]
    assert any("1 bad rows were skipped" in text and "line 5" in text for text in data.warnings)


def test_a_wrong_column_name_finds_the_nearest(toy):
    with pytest.raises(InputError, match="no column 'lable'; did you mean 'label'"):
        load_task(toy(label="lable"))
    with pytest.raises(InputError, match=r"split 'test' has no rows.*40 bad rows were skipped, the first"):
        load_task(toy(label="lable", on_bad_row="skip"))


def test_ids(toy):
    rows = [{key: value for key, value in row.items() if key != "id"} for row in make_rows(8)]
    assert [e.id for e in load_task(toy(rows)).examples["test"]] == [f"test-{i}" for i in range(8)]
    named = [row | {"key": i} for i, row in enumerate(make_rows(8))]
    assert load_task(toy(named, id="key")).examples["test"][3].id == "3"
    with pytest.raises(InputError, match="the id 'test-0' occurs twice in the split 'test'"):
        load_task(toy([*make_rows(8), make_rows(8)[0]]))


def test_splits_by_column_and_by_share(toy):
    rows = make_rows(40, "train") + make_rows(40, "test")
    data = load_task(toy(rows, splits={"train": "train", "test": "test"}), ["test"])
    assert list(data.examples) == ["test"] and {e.split for e in data.examples["test"]} == {"test"}
    with pytest.raises(InputError, match="no split 'tst' in 'splits'; did you mean 'test'"):
        load_task(toy(rows), ["tst"])
    with pytest.raises(InputError, match=r"'validation' has no rows \(asked for: dev\)"):
        load_task(toy(rows, splits={"validation": "dev"}))
    rows = [row | {"text": f"premise {i // 3}"} for i, row in enumerate(make_rows(900))]
    data = load_task(toy(rows, splits={"train": {"share": [0, 0.9]}, "test": {"share": [0.9, 1]}}, balance=False))
    train, test = ({e.fields["Text"] for e in data.examples[name]} for name in ("train", "test"))
    assert not train & test and len(data.examples["train"]) + len(data.examples["test"]) == 900
    assert 45 <= len(data.examples["test"]) <= 150


def test_balance_downsamples_the_training_split_only(toy):
    rows = make_rows(40, "train")[:30] + [r for r in make_rows(40, "test") if r["label"] == "positive" or int(r["id"][5:]) < 9]
    task = toy([r for r in rows if not (r["split"] == "train" and r["label"] == "negative" and int(r["id"][6:]) > 20)],
               splits={"train": "train", "test": "test"})  # fmt: skip
    data = load_task(task)
    assert Counter(e.label for e in data.examples["train"]) == {0: 11, 1: 11}
    assert Counter(e.label for e in data.examples["test"]) == {0: 5, 1: 20}
    assert data.examples == load_task(task).examples
    numbers = [int(e.id[6:]) for e in data.examples["train"]]
    assert numbers == sorted(numbers)
    whole = load_task(dataclasses.replace(task, balance=False)).examples["train"]
    assert Counter(e.label for e in whole) == {0: 11, 1: 15}
    with pytest.raises(InputError, match="training split has no row of the class 'negative'"):
        load_task(toy([r for r in rows if r["split"] == "test" or r["label"] == "positive"],
                      splits={"train": "train", "test": "test"}))  # fmt: skip


def test_limit_is_a_stratified_seeded_sample(toy):
    cells = {(0, 0): 300, (0, 1): 60, (1, 0): 39, (1, 1): 1}
    rows = [make_rows()[0] | {"id": f"{y}{a}{i}", "label": y, "marker": a} for (y, a), n in cells.items() for i in range(n)]
    sample = load_task(toy(rows), limit=40).examples["test"]
    counts = Counter((e.label, e.attributes["marker"]) for e in sample)
    assert counts == {(0, 0): 29, (0, 1): 6, (1, 0): 4, (1, 1): 1}, "shares, and one row of the smallest from the largest"
    assert sample == load_task(toy(rows), limit=40).examples["test"]
    assert [e.id for e in sample] != [row["id"] for row in rows][:40]
    assert len(load_task(toy(rows), limit=4000).examples["test"]) == 400
    with pytest.raises(InputError, match="--limit must be at least 1"):
        load_task(toy(rows), limit=0)


def test_limit_does_not_look_at_the_groups_of_the_validation_split(toy):
    """Checkpoints, rates and k are chosen on it: with other attributes it is the same sample, and the test split is another."""
    splits = {name: name for name in ("train", "validation", "test")}
    rows = [row for split in splits for row in make_rows(200, split)]
    others = [row | {"marker": int(i % 200 in (5, 6))} for i, row in enumerate(rows)]
    data, other = (load_task(toy(found, splits=splits, on_empty_group=None, balance=False), limit=20) for found in (rows, others))
    ids = [{name: [e.id for e in found.examples[name]] for name in splits} for found in (data, other)]
    assert ids[0]["validation"] == ids[1]["validation"] and ids[0]["test"] != ids[1]["test"]
    assert Counter(e.label for e in data.examples["validation"]) == {0: 10, 1: 10}
    assert sum(e.attributes["marker"] == 1 for e in other.examples["test"]) == 2, "a group of one row is in the test sample"


def test_a_small_sample_keeps_the_shares_of_overlapping_groups(toy):
    """Eight attributes as rare as identities in comments make more strata than the sample could hold one row each of."""
    draw = random.Random(0)
    names = [f"a{i}" for i in range(8)]
    rows = [make_rows()[0] | {"id": str(i), "label": int(draw.random() < 0.1)} |
            {name: int(draw.random() < 0.05) for name in names} for i in range(8000)]
    strata = {(row["label"], *(row[name] for name in names)) for row in rows}
    sample = load_task(toy(rows, attributes=names, aligned=None), limit=200).examples["test"]
    assert len(sample) == 200 and len(strata) > 80
    for kind, found in (("rows", rows), ("sample", [{"label": e.label, **e.attributes} for e in sample])):
        share = {name: sum(row[name] for row in found) / len(found) for name in ("label", *names)}
        assert share.pop("label") == pytest.approx(0.1, abs=0.01), kind
        assert share == pytest.approx(dict.fromkeys(names, 0.05), abs=0.03), kind
    cells = Counter((e.label, name, e.attributes[name]) for e in sample for name in names)
    assert len(cells) == 32, "no cell of an attribute is empty"


def test_an_empty_cell_is_named(toy):
    rows = [row for row in make_rows(40) if not (row["label"] == "positive" and row["marker"] == 0)]
    with pytest.raises(InputError, match=r"the split 'test' has no row with class 'positive' and marker = 0.*on_empty_group"):
        load_task(toy(rows))
    data = load_task(dataclasses.replace(toy(rows), on_empty_group=None))
    assert any("class 'positive' and marker = 0" in text for text in data.warnings)


def test_an_empty_cell_where_no_group_is_ever_read_is_no_fault(toy):
    rows = [row | {"marker": 0} for split in ("train", "validation") for row in make_rows(8, split)] + make_rows(8)
    load_task(toy(rows, splits={name: name for name in ("train", "validation", "test")}))


def test_alignment_stated_measured_or_unknown(toy):
    splits = {"train": "train", "test": "test"}
    rows = [row | {"marker": int(row["label"] == "negative")} for row in make_rows(40, "train")] + make_rows(40)
    stated = load_task(toy(rows, splits=splits))
    assert stated.aligned == {"marker": (-1, 1)} and stated.training_counts == {"marker": ((0, 20), (20, 0))}
    assert load_task(toy(rows, splits=splits, aligned=None)).aligned == {"marker": (1, -1)}
    unknown = load_task(toy(make_rows(40), aligned=None))
    assert unknown.aligned == {"marker": None} and unknown.training_counts == {"marker": None}
    assert any("gap of 'marker' is null" in text and "aligned" in text for text in unknown.warnings)
    level = load_task(toy(make_rows(40, "train") + make_rows(40), splits=splits, aligned=None))
    assert level.aligned == {"marker": None} and any("goes with no class" in text for text in level.warnings)


def test_a_class_without_a_clear_direction_is_left_out_and_named(toy):
    classes = ["a", "b", "c"]
    train = [{"id": f"{y}-{i}", "text": "t", "label": y, "marker": int(i < share * 100), "split": "train"}
             for y, share in zip(classes, (0.9, 0.5, 0.1), strict=True) for i in range(100)]  # fmt: skip
    test = [row | {"split": "test"} for row in train]
    data = load_task(toy(train + test, splits={"train": "train", "test": "test"}, classes=classes, label_words=None,
                         aligned=None))  # fmt: skip
    assert data.aligned == {"marker": (1, 0, -1)}
    assert any("leaves out b" in text for text in data.warnings)


def test_two_class_alignment_is_newcombes_interval():
    """With two classes the difference to the mean is half of p1 − p0, so its sign is that of Newcombe's hybrid interval."""

    def wilson(k, n, z=1.959963984540054):
        centre = (k + z * z / 2) / (n + z * z)
        half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
        return centre - half, centre + half

    rng = np.random.default_rng(0)
    seen = Counter()
    for _ in range(300):
        n = rng.integers(5, 60, 2)
        k = rng.binomial(n, rng.random(2))
        (l0, u0), (l1, u1) = wilson(k[0], n[0]), wilson(k[1], n[1])
        p0, p1 = k / n
        low = p1 - p0 - math.hypot(p1 - l1, u0 - p0)
        high = p1 - p0 + math.hypot(u1 - p1, p0 - l0)
        sign = 1 if low > 0 else -1 if high < 0 else 0
        assert measured_signs(tuple((int(m - o), int(o)) for m, o in zip(n, k, strict=True))) == (-sign, sign)
        seen[sign] += 1
    assert min(seen.values()) > 30


def test_the_hash_changes_with_rows_task_and_limit_alone(toy):
    rows = make_rows(40)
    same = load_task(toy(rows)).hash
    assert load_task(toy(rows)).hash == load_task(toy(rows), ["test"]).hash == same
    changed = [load_task(toy([rows[0] | {"text": "other"}, *rows[1:]])), load_task(toy(rows), limit=20),
               load_task(toy(rows, instruction="Other?"))]  # fmt: skip
    assert len({same, *(data.hash for data in changed)}) == 4


def test_the_hash_does_not_depend_on_where_the_folder_is(toy, tmp_path):
    task = toy()
    elsewhere = tmp_path / "moved"
    elsewhere.mkdir()
    (tmp_path / "rows.jsonl").rename(elsewhere / "rows.jsonl")
    moved = load_task(dataclasses.replace(task, directory=elsewhere, origin="other.yaml"))
    assert moved.hash == load_task(toy()).hash


def test_training_types_have_no_room_for_attributes(toy):
    example = load_task(toy()).examples["test"][0]
    assert {f.name for f in dataclasses.fields(TrainExample)} == {"id", "fields", "label"}
    assert {f.name for f in dataclasses.fields(TrainBatch)} == {"tokens", "lengths", "targets", "ids", "prefix"}
    assert not hasattr(example.for_training(), "attributes")
