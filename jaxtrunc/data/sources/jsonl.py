"""JSON lines: one object per line."""

import json
from collections.abc import Iterator
from pathlib import Path

from jaxtrunc.data.sources.row import Row
from jaxtrunc.data.sources.text import text_lines


def jsonl_rows(path: Path) -> Iterator[Row]:
    """One row per line that is not blank; a line that is no JSON object is a row with a fault."""
    number = 0
    for line_number, line in enumerate(text_lines(path), 1):
        if line.strip():
            yield _row(line, number, f"{path}, line {line_number}")
            number += 1


def _row(line: str, number: int, where: str) -> Row:
    try:
        values = json.loads(line)
        if "\\ud" in line or "\\uD" in line:  # half of a surrogate pair cannot be tokenised
            json.dumps(values, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        return Row(number, where, None, f"not valid JSON ({error.msg} at column {error.colno})")
    except (ValueError, RecursionError) as error:
        return Row(number, where, None, f"not valid JSON ({error})")
    if not isinstance(values, dict):
        return Row(number, where, None, f"expected a JSON object, found {type(values).__name__}")
    return Row(number, where, values)
