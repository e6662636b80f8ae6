"""What all scripts share: ways of doing one thing, timed in turn in one process, and what was found, as JSON.

    if __name__ == "__main__":
        main(measure)          # measure(tiny) -> Report

A script runs on one core with one thread for every library, ours and theirs, so that a CPU second is a second of work and
nobody has more of the machine. The ways take turns in every round and each round begins with another of them: what drifts
with the machine drifts for all. The first call of each is apart: it compiles, allocates, and gives the result whose errors
are shown.
"""

import argparse
import gc
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite import markdown, settled
from suite.report import RESULTS, Comparison, Report, Row, keep


@dataclass(frozen=True)
class Timed:
    """What a call returns that ran in a process of its own: it has no warm first call apart."""

    cpu: float
    wall: float
    value: Any = None


@dataclass(frozen=True)
class Way:
    """One way of doing what is compared.

    Attributes:
      call: does it once and returns when it is done; None if it cannot be run here.
      facts: of the value of the first call, such as its errors.
      missing: why it cannot be run.
    """

    name: str
    call: Callable[[], Any] | None
    facts: Callable[[Any], dict[str, Any]] = lambda value: {}
    missing: str | None = None


def compare(title: str, ways: Sequence[Way], rounds: int) -> Comparison:
    """Every way once for its result, then `rounds` times in turn.

    The first call counts as a round too for ways that return `Timed`.
    """
    rows = [Row(way.name, missing=way.missing) for way in ways]
    able = [(way.call, way.facts, row) for way, row in zip(ways, rows, strict=True) if way.call]
    for call, facts, row in able:
        timed, alone = clocked(call)
        row.facts = facts(timed.value)
        if alone:
            add(row, timed)
        else:
            row.first = timed.wall
        del timed
    for turn in range(rounds):
        for call, _, row in (*able[turn % len(able):], *able[:turn % len(able)]):
            add(row, clocked(call)[0])
    return Comparison(title, rows)


def add(row: Row, timed: Timed) -> None:
    """One round more."""
    row.cpu.append(timed.cpu)
    row.wall.append(timed.wall)


def combine(title: str, parts: Sequence[tuple[float, Comparison]]) -> Comparison:
    """Weighted sum of comparisons of the same ways, round by round; of facts that are numbers, the largest."""
    rows = []
    for same in zip(*(part.rows for _, part in parts), strict=True):
        weighted = [(weight, row) for (weight, _), row in zip(parts, same, strict=True)]
        cpu, wall = ([sum(weight * value for (weight, _), value in zip(parts, values, strict=True))
                      for values in zip(*(getattr(row, clock) for row in same), strict=True)] for clock in ("cpu", "wall"))
        first = None if same[0].first is None else sum(weight * (row.first or 0) for weight, row in weighted)
        facts = {key: max(row.facts[key] for row in same) for key in same[0].facts}
        rows.append(Row(same[0].name, first, cpu, wall, facts, same[0].missing))
    return Comparison(title, rows)


def clocked(call: Callable[[], Any]) -> tuple[Timed, bool]:
    """CPU seconds of this process and its children, seconds by the clock, and whether the call measured itself."""
    gc.collect()
    cpu, wall = cpu_seconds(), time.perf_counter()
    value = call()
    if isinstance(value, Timed):
        return value, True
    return Timed(cpu_seconds() - cpu, time.perf_counter() - wall, value), False


def cpu_seconds() -> float:
    """User and system time of this process, all its threads and the children it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main(measure: Callable[[bool], Report]) -> None:
    """Run one script: print its section, and write its JSON unless the shapes are tiny."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="small shapes, to see that it runs; its figures mean nothing")
    parser.add_argument("--out", type=Path, help="the JSON file; default results/SCRIPT.json, with --tiny none")
    asked = parser.parse_args()
    assert settled.ALIKE.items() <= os.environ.items(), "threads differ"
    started, load = time.perf_counter(), os.getloadavg()[0]
    result = measure(asked.tiny).result(time.perf_counter() - started, load)
    out = asked.out or (None if asked.tiny else RESULTS / f"{Path(sys.argv[0]).stem}.json")
    if out:
        keep(result, out)
    if asked.tiny:
        print("Tiny shapes: this shows that the script runs; its figures mean nothing.\n")
    print("\n".join(markdown.section(result)))
