"""A word tokenizer that knows the label words, TFDS data sets prepared without TensorFlow, and an installed toy plug-in."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from official import civil_comments_csv, mnli_rows

TOY = Path(__file__).parent / "toy_plugin"
WORDS = ["?", ".", "Answer", ":", "good", "bad", "yes", "no", "maybe"]
# what the preparation step of docs/benchmarks.md does, with the builders' downloads replaced by local files
LOCAL_DOWNLOADS = """
import json, os
import tensorflow_datasets as tfds
import tensorflow_datasets.text
from tensorflow_datasets.text.civil_comments import CivilComments
from tensorflow_datasets.text.multi_nli import MultiNLI

def comments(self, downloads):
    names = {"train": "train", "validation": "test_public", "test": "test_private"}
    kept = {"filename": os.environ["CIVIL_CSV"], "mode": self.builder_config.mode}
    return [tfds.core.SplitGenerator(name=name, gen_kwargs=kept | {"split": split}) for name, split in names.items()]

CivilComments._split_generators = comments
MultiNLI._split_generators = lambda self, downloads: {
    name: enumerate(rows) for name, rows in json.load(open(os.environ["MNLI_JSON"])).items()}
"""
PREPARE = """
import tensorflow_datasets as tfds
for name in ("civil_comments/CivilCommentsIdentities", "multi_nli"):
    tfds.builder(name, file_format="array_record").download_and_prepare()
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
    """One token per word, `?` for words it does not know."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?", eos_token=".")


@pytest.fixture(scope="session")
def local_tfds(tmp_path_factory):
    """Environment of a Python in which the builders find their downloads on this disk; and what the CSV holds."""
    import json

    folder = tmp_path_factory.mktemp("tfds")
    expected = civil_comments_csv(folder / "civil_comments.csv")
    splits = {name: mnli_rows(name, 40) for name in ("train", "validation_matched", "validation_mismatched")}
    (folder / "mnli.json").write_text(json.dumps(splits))
    (folder / "patch").mkdir()
    (folder / "patch" / "sitecustomize.py").write_text(LOCAL_DOWNLOADS)
    places = {"CIVIL_CSV": folder / "civil_comments.csv", "MNLI_JSON": folder / "mnli.json", "TFDS_DATA_DIR": folder / "prepared",
              "PYTHONPATH": folder / "patch"}
    return os.environ | {name: str(path) for name, path in places.items()}, expected, splits


@pytest.fixture(scope="session")
def prepared(local_tfds):
    """A folder with both TFDS benchmarks as array_record."""
    done = subprocess.run([sys.executable, "-c", PREPARE], env=local_tfds[0], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return Path(local_tfds[0]["TFDS_DATA_DIR"])


@pytest.fixture
def installed_toy(tmp_path, monkeypatch):
    """The toy package on the import path with the metadata that an installer makes of its pyproject.toml."""
    place = install(TOY, tmp_path / "site")
    monkeypatch.syspath_prepend(str(place))
    yield place
    sys.modules.pop("toy_benchmarks", None)


def install(project: Path, place: Path) -> Path:
    """What `pip install --target` leaves of a plain package: its files and a .dist-info folder."""
    about = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    for package in project.glob("*/__init__.py"):
        shutil.copytree(package.parent, place / package.parent.name, ignore=shutil.ignore_patterns("__pycache__"))
    facts = place / f"{about['name'].replace('-', '_')}-{about['version']}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
    groups = about["entry-points"].items()
    (facts / "entry_points.txt").write_text("".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items()) for group, entries in groups))
    importlib.metadata.MetadataPathFinder.invalidate_caches()
    return place
