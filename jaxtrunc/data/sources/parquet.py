"""Parquet files through pyarrow, batch by batch."""

import gzip
from collections.abc import Iterator
from pathlib import Path

from jaxtrunc.core.errors import InputError
from jaxtrunc.data.sources.reason import reason
from jaxtrunc.data.sources.row import Row


def parquet_rows(path: Path) -> Iterator[Row]:
    """Rows of a Parquet file; a `.gz` one is unpacked in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        source = pa.BufferReader(gzip.decompress(path.read_bytes())) if path.suffix == ".gz" else path
        with pq.ParquetFile(source) as file:
            for batch in file.iter_batches():
                for values in batch.to_pylist():
                    yield Row(number, f"{path}, row {number}", values)
                    number += 1
    except (pa.ArrowException, OSError, EOFError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({reason(error)})") from None
