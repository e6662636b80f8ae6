"""Splits of several parts, rules for labels and attributes, merged classes: what they read, and what is refused."""

import dataclasses
from collections import Counter

import pytest
from toy_task import make_rows, mapping, write_jsonl

from jaxtrunc.core.errors import InputError
from jaxtrunc.data import load_task, read_task

INJECT = {"token": "zq", "attribute": "marker", "class": "positive", "correlation": {"test": 0.5}}
SECOND = {"source": {"path": "more.jsonl"}, "from": "test", "text": {"Text": "sentence"}, "id": "key",
          "label": {"column": "grade", "values": {"A": "positive", 5: "negative"}},
          "derive": {"marker": {"column": "kind", "values": {"x": 1, "y": 0}}}}  # fmt: skip


@pytest.fixture
def two_parts(toy, tmp_path):
    """The toy rows, and eight of another file with other columns."""
    rows = [{"sentence": f"more {i}", "grade": "A5"[i % 2], "kind": "xy"[i // 2 % 2], "key": f"test-{i}", "split": "test"}
            for i in range(8)]  # fmt: skip
    write_jsonl(tmp_path / "more.jsonl", rows)
    return lambda **changes: toy(make_rows(8), splits={"test": ["test", SECOND | changes]})


def test_each_part_has_its_own_source_columns_and_rules(two_parts):
    found = load_task(two_parts()).examples["test"]
    assert [e.id for e in found] == [f"{part}-test-{i}" for part in (0, 1) for i in range(8)]
    assert [e.fields["Text"] for e in found[8:]] == [f"more {i}" for i in range(8)]
    assert [e.label for e in found[8:]] == [1, 0] * 4
    assert [e.attributes["marker"] for e in found] == [0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0]


def test_what_a_part_does_not_say_is_the_tasks(two_parts):
    with pytest.raises(InputError, match=r"more.jsonl, line 1: no column 'text'"):
        load_task(two_parts(text={"Text": "text"}))
    task = two_parts(label="grade")
    with pytest.raises(InputError, match=r"more.jsonl, line 1: the label 'A' in column 'grade' is none of"):
        load_task(task)


def test_a_value_without_a_class_is_a_bad_row(two_parts):
    with pytest.raises(InputError, match=r"more.jsonl, line 2: the label '5' .* is none of A"):
        load_task(two_parts(label={"column": "grade", "values": {"A": "positive"}}))


def test_two_parts_may_not_share_rows(toy):
    halves = [{"from": "test", "share": [0, 0.6]}, {"from": "test", "share": [0.5, 1]}]
    with pytest.raises(InputError, match="'test' and 'test' share rows"):
        toy(splits={"test": halves})
    assert len(load_task(toy(splits={"test": [halves[0], halves[1] | {"share": [0.6, 1]}]})).examples["test"]) == 40


def rated(**changes):
    row = {"id": "a", "text": "A good day", "other": "a day, good", "label": 0.5, "marker": 0.2, "x": "0.6", "split": "test"}
    return row | changes


@pytest.mark.parametrize("rule, row, value", [
    ({"columns": ["marker"], "at_least": 0.5}, {}, 0),
    ({"columns": ["marker", "x"], "at_least": 0.6}, {}, 1),
    ({"columns": ["x"], "at_least": 0.7}, {}, 0),
    ({"words": ["GOOD"], "field": "text"}, {}, 1),
    ({"overlap": ["text", "other"], "at_least": 1}, {}, 1),
    ({"overlap": ["text", "other"], "at_least": 0.5}, {"other": "good - - nights: a"}, 1),  # 2 of 4 words
    ({"overlap": ["text", "other"], "at_least": 0.51}, {"other": "good nights: a"}, 0),
    ({"overlap": ["text", "other"], "at_least": 0.1}, {"text": "", "other": "..."}, 0),
    ({"column": "x", "values": {0.6: 1}}, {}, 1),
    ({"column": "x", "values": {"other": 1}}, {}, None),
    ({"value": 1}, {}, 1),
    ({"value": None}, {}, None),
])  # fmt: skip
def test_rules_for_attributes(toy, rule, row, value):
    from jaxtrunc.data.examples import read_split

    task = toy([rated(**row)], text={"Text": "text", "Other": "other"}, derive={"marker": rule}, aligned=None,
               label={"column": "label", "at_least": 0.5})  # fmt: skip
    examples, _ = read_split(task, "test")
    assert (examples[0].label, examples[0].attributes) == (1, {"marker": value})


@pytest.mark.parametrize("value, label", [(0.5, 1), (0.49, 0), ("1.0", 1), (0, 0)])
def test_a_label_may_be_a_number_with_a_threshold(toy, value, label):
    from jaxtrunc.data.examples import read_split

    task = toy([rated(label=value, marker=0)], label={"column": "label", "at_least": 0.5})
    assert read_split(task, "test")[0][0].label == label


@pytest.mark.parametrize("change, words", [
    ({"label": "much"}, ["'label'", "number", "'much'"]),
    ({"x": "nan"}, ["'x'", "number", "nan"]),
])  # fmt: skip
def test_what_is_no_number_is_a_bad_row(toy, change, words):
    rule = {"columns": ["x"], "at_least": 0.5}
    task = toy([rated(**change)], label={"column": "label", "at_least": 0.5}, derive={"marker": rule})
    with pytest.raises(InputError) as caught:
        load_task(task)
    assert all(word in str(caught.value) for word in ["rows.jsonl, line 1", *words]), caught.value


@pytest.mark.parametrize("members, value", [((1, 0), 1), ((0, 0), 0), ((1, None), 1), ((0, None), None)])
def test_any_of(toy, members, value):
    from jaxtrunc.data.examples import read_split

    rules = {"any": {"any_of": ["a", "b"]}} | {name: {"value": member} for name, member in zip("ab", members, strict=True)}
    task = toy(make_rows(1), attributes=["any", "a", "b"], aligned={"any": "positive"}, derive=rules)
    assert read_split(task, "test")[0][0].attributes == {"any": value, "a": members[0], "b": members[1]}


def test_thinning_keeps_a_share_by_id(toy):
    rows = make_rows(4000)
    thinned = {"from": "test", "thin": {"marker": {"negative": 0.25}}}
    found = load_task(toy(rows, splits={"test": thinned})).examples["test"]
    counts = Counter((e.label, e.attributes["marker"]) for e in found)
    assert [counts[cell] for cell in ((0, 0), (1, 0), (1, 1))] == [1000, 1000, 1000]
    assert counts[0, 1] == pytest.approx(250, abs=40)
    again = load_task(toy(rows[::-1], splits={"test": thinned})).examples["test"]
    assert {e.id for e in again} == {e.id for e in found}


@pytest.mark.parametrize("thin, kept", [
    ({"marker=0": {"negative": 0.25}}, {(0, 0): 250, (0, 1): 1000, (1, 0): 1000, (1, 1): 1000}),
    ({"marker=1": {"negative": 0.25}}, {(0, 0): 1000, (0, 1): 250, (1, 0): 1000, (1, 1): 1000}),
    ({"marker": {"positive": 0.5}, "marker=0": {"negative": 0.25, "positive": 0}}, {(0, 0): 250, (0, 1): 1000, (1, 1): 500}),
])
def test_thinning_names_the_value(toy, thin, kept):
    task = toy(make_rows(4000), splits={"test": {"from": "test", "thin": thin}})
    found = load_task(dataclasses.replace(task, on_empty_group=None)).examples["test"]
    counts = Counter((e.label, e.attributes["marker"]) for e in found)
    assert counts.keys() == kept.keys()
    assert all(counts[cell] == n if n == 1000 else abs(counts[cell] - n) < 50 for cell, n in kept.items()), counts


MERGE = {"classes": {"yes": ["a"], "no": ["b", "c"]}}
THREE = {"classes": ["a", "b", "c"], "label_words": None, "aligned": {"marker": {"no": 0}}, "merge": MERGE}


def three(labels):
    return [make_rows(12)[0] | {"id": f"{s}{i}", "label": labels[i % len(labels)], "marker": i // 3 % 2, "split": s}
            for s in ("train", "test") for i in range(12)]  # fmt: skip


def test_merged_classes_count_in_evaluated_splits_alone(toy):
    data = load_task(toy(three("abc"), splits={"train": "train", "test": "test"}, **THREE))
    assert [e.label for e in data.examples["train"][:3]] == [0, 1, 2]
    assert [e.label for e in data.examples["test"][:3]] == [0, 1, 1]
    assert data.task.evaluated == ("yes", "no") and data.aligned == {"marker": (0, -1)}
    assert data.training_counts["marker"] == ((2, 2), (4, 4))
    named = [row | {"label": {"a": "yes"}.get(row["label"], "no")} if row["split"] == "test" else row for row in three("abc")]
    again = load_task(toy(named, splits={"train": "train", "test": "test"}, **THREE))
    assert again.examples == data.examples, "a row of an evaluated split may name the merged class"


def test_alignment_is_measured_on_merged_classes(toy):
    rows = [row | {"marker": int(row["label"] == "a") if row["split"] == "train" else row["marker"]} for row in three("abc") * 1]
    rows += [row | {"id": f"{row['id']}-{i}"} for i in range(20) for row in rows if row["split"] == "train"]
    data = load_task(toy(rows, splits={"train": "train", "test": "test"}, **THREE | {"aligned": None}))
    assert data.aligned == {"marker": (1, -1)}


def test_a_missing_attribute(toy):
    """It is allowed where it is not the first, it fills no cell, and --limit keeps its strata."""
    rules = {"second": {"column": "kind", "values": {0: 0, 1: 1}}}
    rows = [row | {"kind": i // 4 % 4} for i, row in enumerate(make_rows(400))]
    data = load_task(toy(rows, attributes=["marker", "second"], derive=rules), limit=40)
    counts = Counter((e.label, *e.attributes.values()) for e in data.examples["test"])
    each = [counts[label, marker, 0] for label in (0, 1) for marker in (0, 1)]
    assert set(each) <= {2, 3}, "a tenth of 25 rows"
    assert {counts[label, marker, None] for label in (0, 1) for marker in (0, 1)} == {5}, "a tenth of 50"
    with pytest.raises(InputError, match="'second', the first of 'attributes', is missing in rows of the split 'test'"):
        load_task(toy(rows, attributes=["second", "marker"], derive=rules))


def test_parts_are_part_of_the_hash(toy):
    plain = load_task(toy(splits={"test": "test"})).hash
    thin = {"from": "test", "thin": {"marker": {"negative": 1}}}
    assert load_task(toy(splits={"test": thin})).hash != plain


@pytest.mark.parametrize("changes, words", [
    ({"splits": {"test": []}}, ["splits, test", "at least one part"]),
    ({"splits": {"test": [{"frm": "x"}]}}, ["splits, test, part 0", "frm", "did you mean 'from'"]),
    ({"splits": {"test": [3]}}, ["splits, test, part 0", "3"]),
    ({"source": None}, ["'source'", "missing"]),
    ({"splits": {"test": {"from": "x", "text": {"Txt": "t"}}}}, ["splits, test", "'text'", "Text"]),
    ({"splits": {"test": {"from": "x", "source": {"path": "a", "hub": "b"}}}}, ["splits, test", "'source'", "exactly one"]),
    ({"splits": {"test": {"from": "x", "thin": {"mark": {}}}}}, ["thin", "did you mean 'marker'"]),
    ({"splits": {"test": {"from": "x", "thin": {"marker": {"negativ": 1}}}}}, ["thin, marker", "did you mean 'negative'"]),
    ({"splits": {"test": {"from": "x", "thin": {"marker": {"negative": 2}}}}}, ["thin, marker, negative", "0 to 1"]),
    ({"splits": {"test": {"from": "x", "thin": {"marker=2": {"negative": 1}}}}}, ["thin", "marker=2", "did you mean 'marker="]),
    ({"splits": {"test": {"from": "x", "thin": {"marker": {}, "marker=1": {}}}}}, ["thin", "'marker' and 'marker=1'", "keep one"]),
    ({"source": {"python": "os:listdir"}}, ["'source'", "plug-in", "path, hub or tfds"]),
    ({"label": {"column": "x", "at_least": 0.5, "values": {1: "negative"}}}, ["label", "found both"]),
    ({"label": {"column": "x", "at_least": 1.5}}, ["label, at_least", "0 to 1"]),
    ({"label": {"column": "x", "values": {1: "neg"}}}, ["label", "'values'", "negative, positive"]),
    ({"label": ["x"]}, ["'label'", "a column"]),
    ({"classes": ["a", "b", "c"], "label_words": None, "aligned": None, "label": {"column": "x", "at_least": 0.5}},
     ["'at_least'", "there are 3"]),
    ({"derive": {"marker": {"words": ["a"], "value": 1}}}, ["derive, marker", "exactly one of"]),
    ({"derive": {"marker": {"field": "text"}}}, ["derive, marker", "words, overlap"]),
    ({"derive": {"marker": {"value": 2}}}, ["derive, marker", "'value'", "null"]),
    ({"derive": {"marker": {"value": True}}}, ["derive, marker", "'value'"]),
    ({"derive": {"marker": {"columns": [], "at_least": 0.5}}}, ["derive, marker", "at least one column"]),
    ({"derive": {"marker": {"columns": ["a"]}}}, ["derive, marker", "'at_least'", "missing"]),
    ({"derive": {"marker": {"overlap": ["text", "txt"], "at_least": 0.5}}}, ["derive, marker", "'overlap'", "text"]),
    ({"derive": {"marker": {"any_of": ["marker"]}}}, ["derive, marker", "'any_of'", "other attributes"]),
    ({"derive": {"marker": {"column": "x", "values": {"a": 2}}}}, ["derive, marker", "'values'", "0, 1"]),
    ({"derive": {"marker": {"column": "x", "values": {"a": True}}}}, ["derive, marker", "'values'", "0, 1"]),
    ({"attributes": ["marker", "b", "c"], "derive": {"marker": {"any_of": ["b"]}, "b": {"any_of": ["c"]}}},
     ["'marker' is any_of 'b'", "name those"]),
    ({"aligned": {"marker": {"negative": 2}}}, ["aligned", "'marker'", "0 or 1"]),
    ({"aligned": {"marker": {}}}, ["aligned", "'marker'"]),
    ({"aligned": {"marker": {"negativ": 1}}}, ["aligned, marker", "did you mean 'negative'"]),
    ({"merge": {"classes": {"all": ["negative", "positive"]}}}, ["merge", "'classes'", "at least two"]),
    ({"merge": {"classes": {"a": ["negative"], "b": ["negative"]}}}, ["merge", "'classes'", "each of negative, positive once"]),
    ({"merge": {"classes": {"negative": ["positive"], "b": ["negative"]}}, "aligned": None}, ["'negative'", "rename"]),
    ({"merge": {"classes": {"a": ["negative"], "b": ["positive"]}, "rule": "mean"}}, ["merge", "'rule'", "sum, argmax"]),
    ({"merge": {"classes": {"a": ["negative"], "b": ["positive"]}}, "aligned": None, "inject": INJECT}, ["'merge' and 'inject'"]),
])  # fmt: skip
def test_refusals_name_key_and_remedy(changes, words):
    with pytest.raises(InputError) as caught:
        read_task(mapping(**changes))
    assert "\n" not in str(caught.value) and all(word in str(caught.value) for word in words), caught.value


def test_an_injected_attribute_has_no_second_meaning():
    both = {"inject": INJECT, "attributes": ["marker", "b"], "derive": {"b": {"any_of": ["marker"]}}}
    with pytest.raises(InputError, match="planted last"):
        read_task(mapping(**both))


def test_the_resolved_task_is_plain(two_parts):
    from jaxtrunc.core.jsonio import dumps

    plain = two_parts().resolved()
    assert "more.jsonl" in dumps(plain) and dataclasses.is_dataclass(two_parts().splits["test"][1])
    assert plain["splits"]["test"][1]["label"]["values"] == {"A": "positive", "5": "negative"}
