"""The same rows come back from every kind of file and data set; damaged ones are refused by name."""

import csv
import gzip
import json
import subprocess
import sys

import pytest
from toy_task import make_rows, mapping, write_jsonl

from jaxtrunc.core.errors import InputError
from jaxtrunc.data import load_task, read_task

ROWS = [row | {"text": text} for row, text in zip(make_rows(8), [
    "plain", 'with "quotes", and commas', "Ünïcode 你好", "it 's", "a\ttab", "{braces} {text}", "", " spaces ",
], strict=True)]  # fmt: skip


def examples(tmp_path, **changes):
    return load_task(read_task(mapping(**changes), tmp_path)).examples["test"]


def expected(rows):
    return [(row["id"], row["text"], ["negative", "positive"].index(row["label"]), row["marker"]) for row in rows]


def found(loaded):
    return [(e.id, e.fields["Text"], e.label, e.attributes["marker"]) for e in loaded]


def write_csv(file, rows, **dialect):
    writer = csv.DictWriter(file, rows[0].keys(), **dialect)
    writer.writeheader()
    writer.writerows(rows)


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv", "parquet"])
def test_files(tmp_path, kind, packed):
    name = f"rows.{kind}{packed}"
    rows = [row for row in ROWS if kind != "tsv" or "\t" not in row["text"]]
    plain = tmp_path / f"rows.{kind}"
    if kind == "jsonl":
        write_jsonl(plain, rows)
    elif kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), plain)
    else:
        with open(plain, "w", newline="", encoding="utf-8") as file:
            dialect = {} if kind == "csv" else {"delimiter": "\t", "quoting": csv.QUOTE_NONE, "quotechar": None}
            write_csv(file, rows, **dialect)
    if packed:
        (tmp_path / name).write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    assert found(examples(tmp_path, source={"path": name})) == expected(rows)


def test_a_byte_order_mark_and_a_quoted_line_break(tmp_path):
    (tmp_path / "rows.csv").write_text('\ufeffid,text,label,marker\na,"two\nlines",1,0\n', encoding="utf-8")
    loaded = examples(tmp_path, source={"path": "rows.csv"}, splits={"test": {"share": [0, 1]}}, on_empty_group=None,
                      attributes=[], aligned={})
    assert [(e.id, e.fields["Text"], e.label) for e in loaded] == [("a", "two\nlines", 1)]


def test_one_file_per_split(tmp_path):
    (tmp_path / "rows").mkdir()
    write_jsonl(tmp_path / "rows" / "tst.jsonl", ROWS)
    assert found(examples(tmp_path, source={"path": "rows"}, splits={"test": "tst.jsonl"})) == expected(ROWS)
    with pytest.raises(InputError, match=r"tst\.json, which is not a file in .*did you mean 'tst.jsonl'"):
        examples(tmp_path, source={"path": "rows"}, splits={"test": "tst.json"})
    write_jsonl(tmp_path / "outside.jsonl", ROWS)
    with pytest.raises(InputError, match=r"\.\./outside.jsonl, which is outside"):
        examples(tmp_path, source={"path": "rows"}, splits={"test": "../outside.jsonl"})
    with pytest.raises(InputError, match="must name a file"):
        examples(tmp_path, source={"path": "rows"}, splits={"test": {"share": [0, 1]}})


@pytest.mark.parametrize("name, content, words", [
    ("rows.jsonl", b'{"text": "a"\n', ["rows.jsonl, line 1", "not valid JSON"]),
    ("rows.jsonl", b'\n[1]\n', ["rows.jsonl, line 2", "JSON object"]),
    ("rows.jsonl", b'{"text": "a"}\n', ["rows.jsonl, line 1", "no column 'split'", "share"]),
    ("rows.jsonl", b"\xff\xfe", ["rows.jsonl", "UTF-8"]),
    ("rows.jsonl.gz", gzip.compress(b'{"split": "x"}\n' * 9999)[:-20], ["rows.jsonl.gz", "damaged gzip"]),
    ("rows.jsonl.gz", b"not gzip", ["rows.jsonl.gz", "damaged gzip"]),
    ("rows.csv", b"a,a\n1,2\n", ["rows.csv, line 1", "twice"]),
    ("rows.csv", b"text,split\n1,other\n1,2,3\n", ["rows.csv, line 3", "3 cells under 2"]),
    ("rows.csv", b'text,split\n"a" b,test\n', ["rows.csv, line 2"]),
    ("rows.parquet", b"PAR1 nothing", ["rows.parquet", "Parquet"]),
    ("rows.parquet.gz", b"not gzip", ["rows.parquet.gz", "Parquet"]),
    ("rows.xlsx", b"", ["rows.xlsx", ".jsonl, .csv, .tsv, .txt, .parquet"]),
])  # fmt: skip
def test_damaged_files_are_named(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        examples(tmp_path, source={"path": name}, text={"Text": "split"})
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"'source' names .*nowhere.jsonl, which does not exist"):
        examples(tmp_path, source={"path": "nowhere.jsonl"})


def test_huggingface_datasets_saved_or_readable(tmp_path):
    datasets = pytest.importorskip("datasets")
    labels = datasets.Features({"id": datasets.Value("string"), "text": datasets.Value("string"),
                                "label": datasets.ClassLabel(names=["negative", "positive"]),
                                "marker": datasets.Value("bool"), "split": datasets.Value("string")})
    table = datasets.Dataset.from_list(ROWS, features=labels)
    datasets.DatasetDict({"test": table}).save_to_disk(str(tmp_path / "saved"))
    assert found(examples(tmp_path, source={"hub": "saved"})) == expected(ROWS)
    (tmp_path / "folder").mkdir()
    table.to_parquet(str(tmp_path / "folder" / "test-00000-of-00001.parquet"))
    assert found(examples(tmp_path, source={"hub": "folder"})) == expected(ROWS)
    with pytest.raises(InputError, match=r"the data set saved \[dev\] cannot be loaded"):
        examples(tmp_path, source={"hub": "saved"}, splits={"test": "dev"})
    with pytest.raises(InputError, match="must name a split"):
        examples(tmp_path, source={"hub": "saved"}, splits={"test": {"share": [0, 1]}})


PREPARE = """
import sys
import numpy as np
import tensorflow_datasets as tfds

class TinyToxic(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {"text": tfds.features.Text(), "label": tfds.features.ClassLabel(names=["negative", "positive"]),
                    "marker": tfds.features.Scalar(np.int64), "id": tfds.features.Text()}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, downloads):
        return {"test": self._generate_examples()}

    def _generate_examples(self):
        for i in range(8):
            yield i, {"text": f"tëxt {i}", "label": i % 2, "marker": i // 2 % 2, "id": f"row-{i}"}

TinyToxic(data_dir=sys.argv[1], file_format="array_record").download_and_prepare()
"""
READ = """
import json, sys
from pathlib import Path
from jaxtrunc.data import load_task, read_task
loaded = load_task(read_task(json.loads(sys.argv[1]), Path(sys.argv[2]))).examples["test"]
assert "tensorflow" not in sys.modules
print(json.dumps(sorted([e.id, e.fields["Text"], e.label, e.attributes["marker"]] for e in loaded)))
"""


def test_tfds_array_record_without_tensorflow(tmp_path):
    (tmp_path / "prepare.py").write_text(PREPARE)
    subprocess.run([sys.executable, tmp_path / "prepare.py", tmp_path / "prepared"], check=True, capture_output=True)
    task = mapping(source={"tfds": "tiny_toxic", "data_dir": "prepared"})
    done = subprocess.run([sys.executable, "-c", READ, json.dumps(task), tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == [[f"row-{i}", f"tëxt {i}", i % 2, i // 2 % 2] for i in range(8)]
    task["splits"] = {"test": "dev"}
    done = subprocess.run([sys.executable, "-c", READ, json.dumps(task), tmp_path], capture_output=True, text=True)
    assert "TFDS data set tiny_toxic [dev] cannot be loaded" in done.stderr
