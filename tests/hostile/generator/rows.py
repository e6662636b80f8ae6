"""Rows of a benchmark: JSON lines, gzip, CSV, TSV, Parquet."""

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

from generator.case import FINETUNE, RUN, SWEEP, Case, Place, change_text, pipe

MEBIBYTE = 1 << 20


def _line(**changes: Any):
    """Change the values of the second row; they may be NaN."""

    def spoil(place: Place) -> None:
        lines = place.rows.read_text().splitlines()
        lines[1] = json.dumps(json.loads(lines[1]) | changes)
        place.rows.write_text("\n".join(lines) + "\n")

    return spoil


def _second(line: bytes):
    """Another second line, byte for byte."""

    def spoil(place: Place) -> None:
        lines = place.rows.read_bytes().splitlines()
        lines[1] = line
        place.rows.write_bytes(b"\n".join(lines) + b"\n")

    return spoil


def _as(name: str, make: Callable[[list[dict]], bytes]):
    """The rows in another file, which the task then names."""

    def spoil(place: Place) -> None:
        rows = [json.loads(line) for line in place.rows.read_text().splitlines()]
        (place.root / name).write_bytes(make(rows))
        change_text(place.task, "rows.jsonl", name)

    return spoil


def values() -> Iterator[Case]:
    """Rows that are JSON, but no rows."""
    for id, changes, word in [
        ("label-nan", {"label": float("nan")}, "label"),
        ("label-infinite", {"label": float("inf")}, "label"),
        ("label-list", {"label": ["positive"]}, "label"),
        ("label-bignum", {"label": 10**400}, "label"),
        ("label-null", {"label": None}, "label"),
        ("text-number", {"text": 3}, "text"),
        ("text-null", {"text": None}, "text"),
        ("text-object", {"text": {"a": list(range(99999))}}, "text"),
        ("attribute-two", {"marker": 2}, "marker"),
        ("attribute-nan", {"marker": float("nan")}, "marker"),
        ("attribute-list", {"marker": [1]}, "marker"),
        ("id-list", {"id": [1]}, "id"),
        ("id-empty", {"id": ""}, "id"),
        ("text-half-surrogate", {"text": "a \ud800 b"}, "JSON"),
    ]:
        yield Case(f"row-{id}", _line(**changes), FINETUNE, ("rows.jsonl, line 2", word))


def lines() -> Iterator[Case]:
    """Lines that are no rows."""
    for id, line, word in [
        ("not-utf8", b'{"text": "\xff\xfe"}', "UTF-8"),
        ("not-json", b"{'text': 1}", "line 2: not valid JSON"),
        ("a-number", b"3", "line 2: expected a JSON object"),
        ("deep", b"[" * 100_000, "line 2: not valid JSON"),
        ("long-number", b'{"label": ' + b"7" * 9999 + b"}", "line 2: not valid JSON"),
        ("nul", b'{"text": "\0"}', "NUL"),
        ("empty-object", b"{}", "line 2"),
    ]:
        yield Case(f"line-{id}", _second(line), FINETUNE, ("rows.jsonl", word))
    yield Case("line-of-a-sweep", _second(b"{"), SWEEP, ("rows.jsonl, line 2",))
    yield Case("line-of-a-run", _second(b"{"), RUN, ("rows.jsonl, line 2",))
    yield Case(
        "line-of-100-MB",
        _second(b'{"text": "' + b"x" * (100 * MEBIBYTE) + b'"}'),
        FINETUNE,
        ("rows.jsonl, line 2", "characters"),
        hazard=True,
    )
    yield Case("rows-a-pipe", lambda place: pipe(place.rows), FINETUNE, ("rows.jsonl", "pipe"), hazard=True)


def _bomb(piece: bytes, count: int) -> bytes:
    return gzip.compress(piece * MEBIBYTE, 9) * count  # a file of many members is one text


def packed() -> Iterator[Case]:
    """gzip files."""

    def plain(rows: list[dict]) -> bytes:
        return "".join(json.dumps(row) + "\n" for row in rows).encode()

    yield Case(
        "gzip-cut", _as("cut.jsonl.gz", lambda rows: gzip.compress(plain(rows))[:-30]), FINETUNE, ("cut.jsonl.gz", "damaged gzip")
    )
    yield Case("gzip-none", _as("none.jsonl.gz", plain), FINETUNE, ("none.jsonl.gz", "damaged gzip"))
    yield Case(
        "gzip-bad-checksum",
        _as("sum.jsonl.gz", lambda rows: gzip.compress(plain(rows))[:-8] + bytes(8)),
        FINETUNE,
        ("sum.jsonl.gz", "damaged gzip"),
    )
    yield Case(
        "gzip-bomb-of-one-line",
        _as("one.jsonl.gz", lambda rows: _bomb(b"x", 2000)),
        FINETUNE,
        ("one.jsonl.gz", "unpacks to"),
        hazard=True,
    )
    yield Case(
        "gzip-bomb-of-blank-lines",
        _as("blank.jsonl.gz", lambda rows: _bomb(b"\n", 2000)),
        FINETUNE,
        ("blank.jsonl.gz", "unpacks to"),
        hazard=True,
    )
    yield Case(
        "gzip-bomb-of-parquet",
        _as("table.parquet.gz", lambda rows: _bomb(b"\0", 2000)),
        FINETUNE,
        ("table.parquet.gz", "unpacks to"),
        hazard=True,
    )


def tables() -> Iterator[Case]:
    """Delimited text and Parquet."""
    head = b"id,text,label,marker,split\n"
    for id, name, content, word in [
        ("csv-nul", "t.csv", head + b"a,\0,positive,0,train\n", "NUL"),
        ("csv-open-quote", "t.csv", head + b'a,"text,positive,0,train\n', "line 2"),
        ("csv-quote-inside", "t.csv", head + b'a,"b"c,positive,0,train\n', "line 2"),
        ("csv-cells", "t.csv", head + b"a,b\n", "line 2: 2 cells"),
        ("csv-no-label", "t.csv", b"id,text,marker,split\na,b,0,train\n", "no column 'label'"),
        ("csv-column-twice", "t.csv", b"id,id\n", "twice"),
        ("csv-empty", "t.csv", b"", "no rows"),
        ("csv-long-cell", "t.csv", head + b"a," + b"x" * 999_999 + b",positive,0,train\n", "line 2"),
        ("tsv-not-utf8", "t.tsv", head.replace(b",", b"\t") + b"\xe9\n", "UTF-8"),
        ("parquet-none", "t.parquet", b"PAR1" + bytes(50) + b"PAR1", "Parquet"),
        ("parquet-empty", "t.parquet", b"", "Parquet"),
        ("ending", "t.xlsx", b"PK", ".parquet"),
    ]:
        yield Case(
            f"table-{id}",
            _as(name, lambda rows, content=content: content),
            FINETUNE,
            ("task.yaml" if id == "csv-empty" else name, word),
        )
    yield Case("table-parquet-cut", _as("t.parquet", lambda rows: _parquet(rows)[:-200]), FINETUNE, ("t.parquet", "Parquet"))
    yield Case("table-parquet-flipped", _as("t.parquet", lambda rows: _flipped(_parquet(rows))), FINETUNE, ("t.parquet",))


def _parquet(rows: list[dict]) -> bytes:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


def _flipped(raw: bytes) -> bytes:
    """Nothing but ones in the first page of data."""
    return raw[:4] + b"\xff" * 200 + raw[204:]


FAULTS = (values, lines, packed, tables)
