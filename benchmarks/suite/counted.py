"""`python -m suite.counted COUNTS.json VERB …`: the program, and how many programs XLA compiled for it, as startup.py asks.

The cache of compiled programs is the one that the program would use by itself, in XDG_CACHE_HOME.
"""

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from jaxtrunc.cli import COMPILED, main

ASKED, FOUND = "/jax/compilation_cache/compile_requests_use_cache", "/jax/compilation_cache/cache_hits"
COMPILING, READING = "/jax/core/compile/backend_compile_duration", "/jax/compilation_cache/cache_retrieval_time_sec"


def run(counts: Path, arguments: list[str]) -> None:
    """Run a verb and write what was counted, whatever the verb ends with."""
    os.environ.update(COMPILED)
    import jax  # after the variables are set

    events: Counter[str] = Counter()
    seconds: Counter[str] = Counter()

    def lasted(event: str, duration: float, **_: Any) -> None:
        seconds[event] += duration

    jax.monitoring.register_event_listener(lambda event, **_: events.update([event]))
    jax.monitoring.register_event_duration_secs_listener(lasted)
    try:
        main(arguments)
    finally:
        found = {"compiled": events[ASKED] - events[FOUND], "from the cache": events[FOUND],
                 "seconds compiling": seconds[COMPILING] - seconds[READING]}
        counts.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:])
