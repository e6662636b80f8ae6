"""CSV (RFC 4180: quoted where needed) and TSV (one row per line, no quoting, as GLUE publishes it)."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxtrunc.core.errors import InputError
from jaxtrunc.data.sources.row import Row
from jaxtrunc.data.sources.text import text_lines


def csv_rows(path: Path) -> Iterator[Row]:
    """Rows of a comma-separated file with a header line."""
    return _rows(path, delimiter=",", strict=True)


def tsv_rows(path: Path) -> Iterator[Row]:
    """Rows of a tab-separated file with a header line; quotation marks are ordinary characters."""
    return _rows(path, delimiter="\t", quoting=csv.QUOTE_NONE)


def _rows(path: Path, **dialect: Any) -> Iterator[Row]:
    reader = csv.reader(text_lines(path), **dialect)
    try:
        header = next(reader, [])
        if len(set(header)) != len(header):
            raise InputError(f"{path}, line 1: a column name occurs twice")
        for number, cells in enumerate(cells for cells in reader if cells):
            yield _row(header, cells, number, f"{path}, line {reader.line_num}")
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}") from None


def _row(header: list[str], cells: list[str], number: int, where: str) -> Row:
    if len(cells) != len(header):
        return Row(number, where, None, f"{len(cells)} cells under {len(header)} column names")
    return Row(number, where, dict(zip(header, cells, strict=True)))
