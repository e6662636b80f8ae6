"""Runs command lines one after the other in one process whose memory is confined; a line of JSON for each.

Started by test_hazards.py: `python run_confined.py COMMANDS.json`.
"""

import contextlib
import io
import json
import os
import resource
import sys
import time
from pathlib import Path

import jax
import jinja2.sandbox  # noqa: F401  (and the others below: loaded before memory is confined)
import pyarrow.parquet  # noqa: F401
import transformers.models.auto.tokenization_auto  # noqa: F401

from jaxtrunc.adapters import load
from jaxtrunc.cli import main
from jaxtrunc.data import chat

MORE_MEMORY = 1 << 30


def confine() -> None:
    """From here on the process may map 1 GiB more than it has."""
    jax.devices()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + MORE_MEMORY, used + MORE_MEMORY))


def answer(arguments: list[str]) -> dict:
    """Exit code and standard error of one command."""
    told, code, start = io.StringIO(), 0, time.monotonic()
    with contextlib.redirect_stderr(told):
        try:
            main(arguments)
        except SystemExit as stop:
            code = stop.code
    return {"code": code, "told": told.getvalue(), "seconds": time.monotonic() - start}


if __name__ == "__main__":
    chat.TEMPLATE_SECONDS = load.PATTERN_SECONDS = 1  # instead of 10 and 5
    confine()
    for command in json.loads(Path(sys.argv[1]).read_text()):
        print(json.dumps(answer(command)), flush=True)
