"""Any text as YAML, as a run config, as a task, as JSON lines: what was meant, or `InputError`."""

import json

import pytest
import sound
import yaml
from fuzz import NAMES, VALUES, bounded
from hypothesis import example, given
from hypothesis import strategies as st

from jaxtrunc.config import RunConfig, read_config
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.yamlio import parse_yaml
from jaxtrunc.data import Task, read_task
from jaxtrunc.data.examples import read_split
from jaxtrunc.data.sources.jsonl import jsonl_rows

SIGNS = st.text(st.sampled_from("ab:-[]{},&*!?|>%#'\"\n \t~01.<=\\"), max_size=40)
TASK_KEYS = ["name", "task", "text", "splits", "classes", "source", "aligned", "prompt", "max_text_tokens", "inject", "derive"]
RUN_KEYS = ["base_model", "train", "sweep", "mesh", "epochs", "ranks", "learning_rate"]
WORDS = st.sampled_from(TASK_KEYS + RUN_KEYS)


@st.composite
def mappings(draw, text: str):
    """The mapping of a sound YAML text with values put in, deep or at the top."""
    values = yaml.safe_load(text)
    for _ in range(draw(st.integers(0, 3))):
        inner = [value for value in values.values() if isinstance(value, dict)]
        place = draw(st.sampled_from([values, *inner]))
        place[draw(st.one_of(WORDS, st.sampled_from(sorted(map(str, place))) if place else WORDS))] = draw(VALUES)
    return values


@bounded(max_examples=300)
@given(st.one_of(SIGNS, st.text(max_size=20), st.lists(SIGNS, max_size=4).map(": ".join)))
@example("2024-99-99")
@example("!!bool x")
@example("&a [*a]")
@example("a: 1\na: 2")
@example("<<: [{a: 1}, {a: 1}]")
def test_yaml_is_read_as_the_library_reads_it(text):
    try:
        found = parse_yaml(text, "text")
    except InputError as error:
        assert "text: not valid YAML" in str(error)
        return
    assert repr(found) == repr(yaml.safe_load(text))


@bounded(max_examples=150)
@given(mappings(sound.RUN))
def test_run_configs(tmp_path, values):
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values, allow_unicode=False))
    try:
        assert isinstance(read_config(tmp_path / "run.yaml"), RunConfig)
    except InputError as error:
        assert "run.yaml" in str(error) or str(error).startswith("train: ")


@bounded(max_examples=150)
@given(mappings(sound.TASK))
def test_tasks(tmp_path, values):
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(values, allow_unicode=False))
    try:
        assert isinstance(read_task(tmp_path / "task.yaml"), Task)
    except InputError as error:
        assert "task.yaml" in str(error)


COLUMNS = st.one_of(st.sampled_from(["id", "text", "label", "marker", "split"]), NAMES)
OBJECTS = st.one_of(VALUES, st.dictionaries(COLUMNS, VALUES, max_size=5))
LINES = st.one_of(st.binary(max_size=30), OBJECTS.map(json.dumps).map(str.encode))


@bounded(max_examples=200)
@given(st.lists(LINES, max_size=4))
def test_json_lines(tmp_path, lines):
    raw = b"\n".join(lines)
    (tmp_path / "rows.jsonl").write_bytes(raw)
    try:
        rows = list(jsonl_rows(tmp_path / "rows.jsonl"))
    except InputError as error:
        assert "rows.jsonl" in str(error)
        return
    whole = [line for line in raw.decode("utf-8-sig").replace("\r", "\n").split("\n") if line.strip()]
    assert [row.number for row in rows] == list(range(len(whole)))
    for row, line in zip(rows, whole, strict=True):
        assert repr(row.values) == repr(json.loads(line)) if row.values is not None else row.fault


@bounded(max_examples=100)
@given(st.lists(LINES, max_size=3))
def test_rows_become_examples_or_faults(tmp_path, lines):
    sample = {"id": "sound", "text": "a film", "label": "positive", "marker": 1, "split": "test"}
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join([json.dumps(sample).encode(), *lines]))
    task = read_task(yaml.safe_load(sound.TASK) | {"on_bad_row": "skip"}, tmp_path)
    try:
        examples, _ = read_split(task, "test")
    except InputError as error:
        assert "rows.jsonl" in str(error) or "twice" in str(error)
        return
    assert examples[0].id == "sound"
    for found in examples:
        assert found.label in (0, 1) and found.attributes["marker"] in (0, 1)
        assert (found.fields["Sentence"] + found.id).encode() is not None


@pytest.mark.parametrize("text", ["a: &x [1, 2]\nb: *x", "a: {<<: {b: 1}, c: 2}", "a: 2024-01-01", ""])
def test_sound_yaml_stays_possible(text):
    assert parse_yaml(text, "text") == yaml.safe_load(text)
