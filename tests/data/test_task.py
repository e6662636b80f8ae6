"""The task file: defaults, every key's check, and messages that name file, key and remedy."""

import pytest
from toy_task import mapping

from jaxtrunc.core.errors import InputError
from jaxtrunc.data import read_task
from jaxtrunc.data.origin import FileSource, HubSource, TfdsSource
from jaxtrunc.data.parts import Part
from jaxtrunc.data.rules import LabelRule

YAML = """
name: sst2_marker
source: {path: data/sst2.jsonl.gz}
splits: {train: train, validation: validation, test: test}
id: id
text: {Sentence: text}
label: label
classes: [negative, positive]
label_words: [" negative", " positive"]
attributes: [marker]
aligned: {marker: positive}
instruction: "Is the sentiment of this sentence negative or positive?"
prompt: "{instruction}\\n{fields}"
scoring: verbalizer
balance: true
max_text_tokens: 300
"""


def test_the_file_of_the_contract(tmp_path):
    (tmp_path / "task.yaml").write_text(YAML)
    task = read_task(tmp_path / "task.yaml")
    part = Part(FileSource("data/sst2.jsonl.gz"), "validation", {"Sentence": "text"}, LabelRule("label"), "id")
    assert task.splits["validation"] == (part,) and task.directory == tmp_path
    assert task.label_words == (" negative", " positive") and task.aligned == {"marker": {"negative": 0, "positive": 1}}
    assert task.prompt == "{instruction}\n{fields}"


def test_defaults(tmp_path):
    task = read_task(mapping(label_words=None, aligned=None, attributes=None, splits=None), tmp_path)
    assert task.label_words == task.classes and task.attributes == () and task.aligned == {}
    assert list(task.splits) == ["train", "validation", "test"]
    assert (task.scoring, task.balance, task.max_text_tokens) == ("verbalizer", True, 300)
    assert (task.on_bad_row, task.on_empty_group, task.inject, task.merge) == ("error", "error", None, None)
    (part,) = task.splits["test"]
    assert (part.id, part.share, part.derive, part.thin) == (None, (0.0, 1.0), {}, {})


def test_other_sources():
    hub, tfds = {"hub": "org/name", "config": None}, {"tfds": "glue/sst2"}
    assert read_task(mapping(source=hub)).splits["test"][0].source == HubSource("org/name")
    assert read_task(mapping(source=tfds)).splits["test"][0].source == TfdsSource("glue/sst2")


def test_on_empty_group_may_be_null(tmp_path):
    (tmp_path / "task.yaml").write_text(YAML + "on_empty_group: null\n")
    assert read_task(tmp_path / "task.yaml").on_empty_group is None


@pytest.mark.parametrize("line, words", [
    ("atributes: [marker]", ["atributes", "did you mean 'attributes'"]),
    ("name: [a]", ["'name'", "non-empty string", "['a']"]),
    ("classes: [no, yes]", ["'classes'", "quotes", "False"]),
    ("classes: [negative]", ["'classes'", "two"]),
    ("classes: [a, a]", ["'classes'", "distinct"]),
    ('label_words: [" negative"]', ["'label_words'", "one per class"]),
    ("text: text", ["'text'", "mapping"]),
    ("text: {Sentence: 3}", ["'text'", "column"]),
    ("source: rows.jsonl", ["'source'", "mapping"]),
    ("source: {file: rows.jsonl}", ["'source'", "path, hub, tfds"]),
    ("source: {path: a.jsonl, hub: org/name}", ["'source'", "exactly one"]),
    ("source: {path: a.jsonl, revison: x}", ["source", "revison"]),
    ("source: {hub: a, revison: x}", ["source", "revison", "did you mean 'revision'"]),
    ("scoring: likelyhood", ["'scoring'", "did you mean 'likelihood'"]),
    ("balance: 1", ["'balance'", "true or false"]),
    ("max_text_tokens: 0", ["'max_text_tokens'", "at least 1"]),
    ("max_text_tokens: true", ["'max_text_tokens'", "whole number"]),
    ("on_bad_row: drop", ["'on_bad_row'", "error, skip"]),
    ("on_empty_group: skip", ["'on_empty_group'", "error, null"]),
    ("aligned: {maker: positive}", ["aligned", "'maker'", "did you mean 'marker'"]),
    ("aligned: {marker: postive}", ["'marker'", "postive", "did you mean 'positive'"]),
    ('prompt: "{instruction} {text}"', ["'prompt'", "{text}"]),
    ('prompt: "{instruction.__class__} {fields}"', ["'prompt'", "instruction.__class__"]),
    ('prompt: "{instruction} {fields"', ["'prompt'", "braces"]),
    ('prompt: "{instruction}"', ["'prompt'", "{fields}"]),
    ("splits: [train]", ["'splits'", "mapping"]),
    ("splits: {}", ["'splits'", "one to 100 splits"]),
    ("splits: {train: 3}", ["splits, train", "3"]),
    ("splits: {train: {from: a, share: [0.5, 0.2]}}", ["splits, train", "low below high"]),
    ("splits: {train: {from: a, share: [0, 2]}}", ["splits, train", "0 to 1"]),
    ("splits: {train: {from: a, share: 1}}", ["splits, train", "[low, high]"]),
    ("splits: {train: {frm: a}}", ["splits, train", "frm", "from"]),
    ("splits: {train: all, test: all}", ["'train'", "'test'", "share rows"]),
    ("splits: {train: {from: a, share: [0, 0.6]}, test: {from: a, share: [0.5, 1]}}", ["'train'", "'test'"]),
    ("inject: {token: zq}", ["inject", "'attribute'", "missing"]),
    ("inject: {token: z q, attribute: marker, class: positive, correlation: {}}", ["inject", "'token'", "one word"]),
    ("inject: {token: zq, attribute: mark, class: positive, correlation: {}}", ["'attribute'", "did you mean 'marker'"]),
    ("inject: {token: zq, attribute: marker, class: positive, correlation: {train: 0.9, validation: 0.9}}",
     ["inject, correlation", "'test'", "missing"]),
    ("inject: {token: zq, attribute: marker, class: positive, correlation: {train: 1.5, validation: 1, test: 1}}",
     ["inject, correlation, train", "0 to 1", "1.5"]),
    ("derive: {negation: {words: [no]}}", ["derive", "negation", "marker"]),
    ("derive: {marker: {words: []}}", ["derive, marker", "'words'", "at least one"]),
    ("derive: {marker: {words: [no, never]}}", ["derive, marker", "'words'", "quotes"]),
    ("derive: {marker: {field: txt, words: [never]}}", ["derive, marker", "'field'", "did you mean 'text'"]),
])  # fmt: skip
def test_refusals_name_file_key_and_remedy(tmp_path, line, words):
    key = line.split(":")[0]
    kept = [old for old in YAML.splitlines() if not old.startswith(f"{key}:")]
    (tmp_path / "task.yaml").write_text("\n".join([*kept, line]))
    with pytest.raises(InputError) as caught:
        read_task(tmp_path / "task.yaml")
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert "\n" not in message and "task.yaml" in message
    assert all(word in message for word in words), message


def test_a_missing_key_a_missing_file_and_no_yaml(tmp_path):
    with pytest.raises(InputError, match="required key 'instruction' is missing"):
        read_task(mapping(instruction=None))
    with pytest.raises(InputError, match=r"nowhere.yaml: no such file"):
        read_task(tmp_path / "nowhere.yaml")
    (tmp_path / "bad.yaml").write_text("name: [a\nlabel: b")
    with pytest.raises(InputError, match=r"bad.yaml: not valid YAML"):
        read_task(tmp_path / "bad.yaml")
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(InputError, match="expected a mapping"):
        read_task(tmp_path / "list.yaml")


def test_an_attribute_is_injected_or_derived_not_both():
    inject = {"token": "zq", "attribute": "marker", "class": "positive", "correlation": {"test": 0.5}}
    with pytest.raises(InputError, match="'marker' is already the attribute of inject"):
        read_task(mapping(inject=inject, derive={"marker": {"words": ["never"]}}))
