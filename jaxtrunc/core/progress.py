"""Progress on standard error: a bar with the time left on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

LONGEST = 4000  # characters of an error; a dozen faults with long names take half of it
_quiet = False


class Advance(Protocol):
    """Called with the number of finished steps and, if there is one, a short text such as `loss 0.31`."""

    def __call__(self, steps: int = 1, note: str = "") -> None: ...


def set_quiet(quiet: bool) -> None:
    """Silence progress and `say` (flag -q)."""
    global _quiet
    _quiet = quiet


def say(text: str) -> None:
    """One line on standard error, unless quiet."""
    if not _quiet:
        print(text, file=sys.stderr, flush=True)


def complain(text: str) -> None:
    """The one line that says what went wrong; quiet or not.

    It may quote a hostile file: no control characters reach the terminal, and no megabytes.
    """
    line = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in " ".join(text.split()))
    print("jaxtrunc: error: " + (line if len(line) <= LONGEST else line[:LONGEST] + " …"), file=sys.stderr, flush=True)


@contextmanager
def progress(title: str, total: int) -> Iterator[Advance]:
    """Show `title` with the share done and the time left while the block runs; yields the advancing function."""
    if _quiet:
        yield lambda steps=1, note="": None
    elif sys.stderr.isatty():
        with _bar(title, total) as advance:
            yield advance
    else:
        yield _lines(title, total)


@contextmanager
def _bar(title: str, total: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, note="")
        yield lambda steps=1, note="": bar.update(task, advance=steps, note=note)


def _lines(title: str, total: int, every: float = 10.0) -> Advance:
    start = last = time.monotonic()
    done = 0

    def advance(steps: int = 1, note: str = "") -> None:
        nonlocal done, last
        done += steps
        now = time.monotonic()
        if done >= total or now - last >= every:
            last = now
            left = (now - start) * (total - done) / max(done, 1)
            say(f"{title}: {done}/{total}, {left:.0f} s left {note}".rstrip())

    return advance
