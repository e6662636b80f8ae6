"""A tokenizer that knows the label words, TFDS data sets prepared without TensorFlow, and an installed toy plug-in."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from official import civil_comments_csv, mnli_rows, numbered, qqp_rows, sst2_rows
from page import commands_of_the_page
from toy_install import TOY, install

# what the preparation step of docs/benchmarks.md does, with the builders' downloads replaced by local files
LOCAL_DOWNLOADS = """
import json, os
import tensorflow_datasets as tfds
import tensorflow_datasets.text
from tensorflow_datasets.text.civil_comments import CivilComments
from tensorflow_datasets.text.glue import Glue
from tensorflow_datasets.text.multi_nli import MultiNLI

def comments(self, downloads):
    names = {"train": "train", "validation": "test_public", "test": "test_private"}
    kept = {"filename": os.environ["CIVIL_CSV"], "mode": self.builder_config.mode}
    return [tfds.core.SplitGenerator(name=name, gen_kwargs=kept | {"split": split}) for name, split in names.items()]

CivilComments._split_generators = comments
def from_json(key):
    return lambda self, downloads: {
        name: enumerate(rows) for name, rows in json.load(open(os.environ["ROWS_JSON"]))[key(self)].items()}

MultiNLI._split_generators = from_json(lambda builder: "multi_nli")
Glue._split_generators = from_json(lambda builder: "glue/" + builder.builder_config.name)
"""

@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """`datasets` would take what an earlier run made of a folder with a README for what is in it now."""
    import datasets

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        patch.setenv("HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tokenizer():
    """Byte-level BPE that knows the label words with a space before them as whole tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<eos>"], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())  # fmt: skip
    inner.train_from_iterator(["Answer: yes no maybe good bad negative positive"] * 50, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>")


@pytest.fixture(scope="session")
def local_tfds(tmp_path_factory):
    """Environment of a Python in which the builders find their downloads on this disk; what the CSV holds; the MultiNLI rows."""
    import json

    folder = tmp_path_factory.mktemp("tfds")
    expected = civil_comments_csv(folder / "civil_comments.csv")
    splits = {name: mnli_rows(name, 40) for name in ("train", "validation_matched", "validation_mismatched")}
    glue = {"glue/qqp": qqp_rows(), "glue/sst2": sst2_rows()}
    rows = {"multi_nli": splits} | {key: {name: numbered(rows) for name, rows in parts.items()} for key, parts in glue.items()}
    (folder / "rows.json").write_text(json.dumps(rows))
    (folder / "patch").mkdir()
    (folder / "patch" / "sitecustomize.py").write_text(LOCAL_DOWNLOADS)
    places = {"CIVIL_CSV": folder / "civil_comments.csv", "ROWS_JSON": folder / "rows.json", "TFDS_DATA_DIR": folder / "prepared",
              "PYTHONPATH": folder / "patch"}
    return os.environ | {name: str(path) for name, path in places.items()}, expected, splits


@pytest.fixture(scope="session")
def prepared(local_tfds):
    """A folder with all TFDS data sets as array_record, made by the commands of docs/benchmarks.md."""
    env = local_tfds[0]
    lines = [shlex.split(line) for line in commands_of_the_page() if line.startswith("python ")]
    assert len(lines) == 2
    for words in lines:
        done = subprocess.run([sys.executable, *words[1:]], env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
    return Path(env["TFDS_DATA_DIR"])


@pytest.fixture
def installed_toy(tmp_path, monkeypatch):
    """The toy package on the import path with the metadata that an installer makes of its pyproject.toml."""
    place = install(TOY, tmp_path / "site")
    monkeypatch.syspath_prepend(str(place))
    yield place
    sys.modules.pop("toy_benchmarks", None)
