"""One writer at a time in a run directory."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jaxtrunc.core.cluster import HOST
from jaxtrunc.core.errors import InputError

LOCK = ".lock"


@contextmanager
def one_writer(directory: Path) -> Iterator[None]:
    """Keep every other process out of `directory` for the length of the block; the system lifts the lock of a killed one.

    Raises:
      InputError: another process is writing; says which and since when.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / LOCK, "a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            raise InputError(f"{directory}: {handle.read().strip() or 'another process'} is writing here; wait for it to end, or "
                             "choose another --out-path") from None
        handle.truncate(0)
        handle.write(f"process {os.getpid()} on {HOST}, since {time.strftime('%Y-%m-%d %H:%M:%S')},\n")
        handle.flush()
        try:
            yield
        finally:
            handle.truncate(0)
