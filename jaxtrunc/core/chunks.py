"""A matrix too long to be held at once, worked on some rows at a time, a thread per core."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import numpy as np

CHUNK = 4096
Result = TypeVar("Result")


class Rows(Protocol):
    """Anything with a shape `(V, d)`, a dtype, and `rows[start:stop]` as an array: an array, or a tensor still on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`(V, d)`."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """As stored."""
        ...

    def __getitem__(self, rows: slice, /) -> Any:
        """Those rows, in stored dtype."""
        ...


def core_count() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each_chunk(rows: Rows, work: Callable[[int, np.ndarray], Result], chunk: int = CHUNK) -> Iterator[Result]:
    """`work(start, rows[start:start + chunk])` for every chunk, in order, however many cores compute them.

    Few results wait at a time. The order, and so every sum that a caller makes of them, does not depend on the machine.
    """
    waiting: deque[Future[Result]] = deque()
    workers = core_count()
    pool = ThreadPoolExecutor(workers)
    try:
        for start in range(0, rows.shape[0], chunk):
            waiting.append(pool.submit(_one, rows, work, start, chunk))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _one(rows: Rows, work: Callable[[int, np.ndarray], Result], start: int, chunk: int) -> Result:
    return work(start, np.asarray(rows[start : start + chunk]))
