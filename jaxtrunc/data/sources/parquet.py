"""Parquet files through pyarrow, batch by batch."""

from collections.abc import Iterator
from pathlib import Path

from jaxtrunc.core.errors import InputError
from jaxtrunc.data.sources.reason import reason
from jaxtrunc.data.sources.row import Row
from jaxtrunc.data.sources.text import open_bytes

BATCH_ROWS = 1024  # a small file can say one long text a million times


def parquet_rows(path: Path) -> Iterator[Row]:
    """Rows of a Parquet file; a `.gz` one is unpacked in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    with open_bytes(path) as file:
        try:
            with pq.ParquetFile(pa.BufferReader(file.read()) if path.suffix == ".gz" else file) as table:
                for batch in table.iter_batches(BATCH_ROWS):
                    for values in batch.to_pylist():
                        yield Row(number, f"{path}, row {number}", values)
                        number += 1
        except (pa.ArrowException, OSError, EOFError, ValueError) as error:
            raise InputError(f"{path}: not a readable Parquet file ({reason(error)})") from None
