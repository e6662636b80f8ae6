"""Bounds on code that a stranger wrote and we run: a chat template, a pattern."""

import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Exceeded(Exception):
    """The block took more than it was given; the text says of what."""


@contextmanager
def limited(seconds: float, memory: int) -> Iterator[None]:
    """Stop the block after so many seconds or bytes of new memory with `Exceeded`.

    Time is bounded in the main thread alone (signals arrive there), memory on Linux alone.
    """
    with _timed(seconds), _capped(memory):
        try:
            yield
        except MemoryError:
            raise Exceeded(f"it needs over {memory >> 20} MiB of memory") from None


@contextmanager
def _timed(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signal: int, _frame: object) -> None:
        raise Exceeded(f"it is not done after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _capped(memory: int) -> Iterator[None]:
    if sys.platform != "linux":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE") + memory
    known = [limit for limit in (wanted, soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(known), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
