"""Files of one's own, laid out as docs/steer.md says: the rows of its table are read, and too few are refused in one sentence."""

import gzip
import json
import re
from pathlib import Path

import pytest

from jaxtrunc.core.errors import InputError
from jaxtrunc.demo import ASSETS
from jaxtrunc.recipes.steer.rows import checked
from jaxtrunc.recipes.steer.task import TaskSettings
from jaxtrunc.recipes.steer.tasks import open_task

PAGE = (Path(__file__).parents[2] / "docs" / "steer.md").read_text()
SECTION = PAGE[PAGE.index("## Your own data"):PAGE.index("## The library")]
SECOND = "instructions_small/self_instruct_seeds.jsonl.gz"
OTHER = {"xstest/prompts.jsonl": {"label": "unsafe"}, "selfaware/questions.jsonl.gz": {"answerable": 0}}
TABLES = {"tofu": {"forget": 20, "retain": 12}, "refusals": {"pairs": None, "helpful": 12}, "selfaware": {"rows": 10}}


def examples():
    """File → the example row that the page shows."""
    lines = [line.split("|") for line in SECTION.splitlines() if line.startswith("|") and "{" in line]
    found = {re.findall(r"`([\w/.]+)`", line[2])[0]: json.loads(re.findall(r"`(\{.*\})`", line[3])[0]) for line in lines}
    return found | {SECOND: found["instructions_small/alpaca_gpt4_demo.jsonl.gz"]}


def write(folder, counts):
    """The page's rows, numbered so that no two are alike; every other one of the second kind where there are two."""
    for name, row in examples().items():
        text, rows = next(iter(row)), range(counts.get(name, 0))
        kinds = [row | (OTHER.get(name, {}) if index % 2 else {}) | {text: f"{row[text]} {index}"} for index in rows]
        (folder / name).parent.mkdir(exist_ok=True)
        data = "".join(json.dumps(kind) + "\n" for kind in kinds).encode()
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


COUNTS = {"tofu/forget.jsonl.gz": 20, "tofu/retain.jsonl.gz": 140, "advbench/harmful_behaviors.jsonl": 40,
          "xstest/prompts.jsonl": 4, "instructions_small/alpaca_gpt4_demo.jsonl.gz": 70, SECOND: 70,
          "selfaware/questions.jsonl.gz": 420}


def opened(task, folder):
    return open_task(TaskSettings(task, str(ASSETS / "model"), str(folder)), folder, folder, None)


@pytest.mark.parametrize("task", TABLES)
def test_files_of_the_layout_of_the_page_are_read(task, tmp_path):
    write(tmp_path, COUNTS)
    found = opened(task, tmp_path).tables
    checked(found)
    rows = {name: len(next(iter(table.values()))) for name, table in found.items()}
    assert rows.keys() == TABLES[task].keys()
    assert all(wanted in (None, rows[name]) for name, wanted in TABLES[task].items()), rows


@pytest.mark.parametrize(("task", "change", "words"), [
    ("tofu", {"tofu/retain.jsonl.gz": 128}, ["retain.jsonl.gz", "more than 128", "found 128"]),
    ("tofu", {"tofu/forget.jsonl.gz": 1}, ["forget.jsonl.gz", "more than 1", "found 1"]),
    ("refusals", {SECOND: 40}, ["instructions_small", "more than 128", "found 110"]),
    ("refusals", {"xstest/prompts.jsonl": 1}, ["prompts.jsonl", "unsafe", "found 0"]),
    ("refusals", {"advbench/harmful_behaviors.jsonl": 1}, ["harmful_behaviors.jsonl", "held out", "found 0"]),
    ("selfaware", {"selfaware/questions.jsonl.gz": 400}, ["questions.jsonl.gz", "more than 200", "found 200"])], ids=str)
def test_too_few_rows_are_refused(task, change, words, tmp_path):
    write(tmp_path, COUNTS | change)
    with pytest.raises(InputError) as refused:
        opened(task, tmp_path)
    assert all(word in str(refused.value) for word in words), refused.value
