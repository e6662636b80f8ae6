"""Work for threads whose results come in order; a matrix too long to be held at once, some rows at a time."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import numpy as np

CHUNK = 4096
Item = TypeVar("Item")
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

    The order, and so every sum that a caller makes of the results, does not depend on the machine.
    """
    starts = range(0, rows.shape[0], chunk)
    return in_threads(lambda start: work(start, np.asarray(rows[start : start + chunk])), starts, core_count())


def in_threads(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """`work(item)` of every item, in order; few results wait at a time."""
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
