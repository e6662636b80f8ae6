"""Strict JSON on disk: no NaN, no Infinity, written beside and renamed, so that no half-written file looks finished."""

import contextlib
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jaxtrunc.core.errors import InputError


def strict(value: Any) -> Any:
    """Plain JSON types: NumPy scalars and arrays become numbers and lists, non-finite floats become null."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def dumps(value: Any, indent: int | None = None) -> str:
    """JSON text of `strict(value)`."""
    return json.dumps(strict(value), indent=indent, ensure_ascii=False, allow_nan=False)


def write_text(path: Path, text: str) -> None:
    """Write a whole file or nothing: a sibling temporary file, flushed to disk, then renamed over `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.staged")
    with open(staged, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(staged, path)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented strict JSON, atomically."""
    write_text(path, dumps(value, indent=1) + "\n")


def read_json(path: Path) -> Any:
    """Parse one JSON file; `InputError` names the file and the place if it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None


def append_line(path: Path, value: Any) -> None:
    """Append one JSON line and push it to disk, so that a killed run keeps every record it announced."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(dumps(value) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path) -> list[Any]:
    """All records of a JSON-lines file; a torn last line (killed in a write) is dropped from the result."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    whole, torn = lines[:-1], lines[-1]
    records = [_parse(path, number, line) for number, line in enumerate(whole, 1) if line.strip()]
    if torn.strip():
        with contextlib.suppress(json.JSONDecodeError):
            records.append(json.loads(torn))
    return records


def rewrite_lines(path: Path, records: Iterable[Any]) -> None:
    """Replace a JSON-lines file by these records, atomically."""
    write_text(path, "".join(dumps(record) + "\n" for record in records))


def _parse(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {number}: not valid JSON ({error})") from None
