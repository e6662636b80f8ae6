"""What of a stored decomposition is damaged, taken out of it, so that only that is decomposed again."""

import json
from pathlib import Path
from typing import Any

from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral.lines import from_line
from jaxtrunc.spectral.store import HEAD, parts, read_head


def drop_damaged(directory: Path) -> list[str]:
    """Remove every matrix whose line or basis is not as it was written; `decompose_into` then makes just these anew.

    For one process, on a directory (best a copy) that nobody else uses. Where decomposition.json is damaged, all are removed.

    Returns:
      The names of the removed matrices; for a line that cannot be read, its file and number.
    """
    try:
        read_head(directory)
        headless = False
    except InputError:
        (directory / HEAD).unlink(missing_ok=True)
        headless = True
    dropped = []
    for part in parts(directory):
        lines = [_parsed(text) for text in part.read_bytes().split(b"\n") if text.strip()]
        kept = [] if headless else [line for line in lines if _is_sound(directory, line)]
        dropped += [line.get("name", f"{part.name}, line {number}") for number, line in enumerate(lines, 1) if line not in kept]
        jsonio.rewrite_lines(part, kept)
    return dropped


def _parsed(text: bytes) -> dict[str, Any]:
    """A line, empty where it cannot be read."""
    try:
        line = json.loads(text)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}


def _is_sound(directory: Path, line: dict[str, Any]) -> bool:
    try:
        _, svd = from_line(directory, line)
        return svd is None or svd.basis.size > 0
    except (InputError, KeyError, TypeError, ValueError, AttributeError):
        return False
