"""docs/benchmarks.md: every command in the order in which it stands (those that prepare TFDS: conftest.py), every name."""

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import jax
import pytest
from official import MAKERS
from page import PAGE, blocks, commands_of_the_page
from toy_install import TOY, install

from jaxtrunc.cli import main
from jaxtrunc.data import read_task
from jaxtrunc.data.find import built_in_names
from jaxtrunc.demo import ASSETS
from jaxtrunc.models import init_params, read_config, to_hf, write_model

ROOT = Path(__file__).parents[2]
SMALL = {"vocab_size": 400, "hidden_size": 16, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
         "num_key_value_heads": 2, "max_position_embeddings": 1024, "layer_types": ["full_attention"]}


@pytest.fixture
def reader(tmp_path, tokenizer, monkeypatch):
    """What a reader of the page has: a base model, the file put by hand, a hub, and the package of the last section."""
    MAKERS["hans"](tmp_path)
    shutil.copytree(TOY, tmp_path / TOY.relative_to(ROOT))
    source = tmp_path / "source"
    tokenizer.save_pretrained(source)
    config = json.loads((ASSETS / "model" / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | SMALL))
    cfg = read_config(source)
    write_model(tmp_path / "base", to_hf(cfg, init_params(cfg, jax.random.key(0))), source=source, cfg=cfg, dtype="float32")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_of_the_page(reader, monkeypatch):
    lines = [shlex.split(line) for line in commands_of_the_page() if not line.startswith("python ")]
    assert len(lines) == 5
    for program, *words in lines:
        if program == "pip":
            assert words[0] == "install" and reader / words[1] == reader / TOY.relative_to(ROOT)
            monkeypatch.syspath_prepend(str(install(reader / words[1], reader / "site")))
        else:
            assert program == "jaxtrunc"
            main([*words, *(["train.max_steps=1", "train.learning_rate=1e-2"] if words[0] == "finetune" else [])])
    sys.modules.pop("toy_benchmarks", None)
    assert (reader / "runs" / "toy" / "model").is_dir()
    results = json.loads((reader / "runs" / "hans" / "results.json").read_text())
    block = results["endpoints"]["ft"]["per_attribute"]
    assert list(block) == ["overlap", "lexical_overlap", "subsequence", "constituent"]
    assert {name: sum(group["n"] for group in block[name]["groups"]) for name in block} == {
        "overlap": 36, "lexical_overlap": 24, "subsequence": 24, "constituent": 24}
    groups = {(g["label"], g["attributes"]["overlap"]): g["accuracy"] for g in block["overlap"]["groups"]}
    assert block["overlap"]["metrics"]["gap"] == pytest.approx(groups["non-entailment", 0] - groups["non-entailment", 1])


def test_the_table_names_every_built_in_benchmark():
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (?:CSV|TFDS|hub|generated)", PAGE, re.M)
    assert sorted(name for row in rows for name in re.findall(r"\w+", row)) == built_in_names()
    for names, path in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| `(data/[\w./]+)`", PAGE, re.M):
        for name in re.findall(r"\w+", names):
            assert path in (ROOT / "jaxtrunc" / "data" / "benchmarks" / f"{name}.yaml").read_text()


def test_the_file_of_the_page_and_the_entry_points_are_those_that_are_tested(tmp_path):
    (tmp_path / "reviews.yaml").write_text(blocks("yaml")[0])
    task = read_task(tmp_path / "reviews.yaml")
    assert task.aligned == {"loud": {"positive": 1}} and len(task.splits["test"]) == 2
    assert blocks("toml")[0] in (TOY / "pyproject.toml").read_text()
