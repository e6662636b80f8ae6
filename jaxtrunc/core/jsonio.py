"""Strict JSON on disk: no NaN, no Infinity, written beside and renamed, so that no half-written file looks finished."""

import contextlib
import json
import math
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jaxtrunc.core.bounded import read_text
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


def loads(text: str) -> Any:
    """Parse strict JSON: each key once, numbers finite, every string valid Unicode; `ValueError` says what is wrong."""
    try:
        value = json.loads(text, object_pairs_hook=_each_once, parse_constant=_refuse_constant, parse_float=_finite)
        if "\\ud" in text or "\\uD" in text:  # half of a surrogate pair could be neither printed nor written
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def read_json(path: Path) -> Any:
    """Parse one JSON file of at most 64 MiB; `InputError` names the file and the place if it is not strict JSON."""
    text = read_text(path)
    try:
        return loads(text)
    except ValueError as error:
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
    lines = path.read_bytes().split(b"\n")
    whole, torn = lines[:-1], lines[-1]
    records = [_parse(path, number, line) for number, line in enumerate(whole, 1) if line.strip()]
    if torn.strip():
        with contextlib.suppress(ValueError):
            records.append(loads(torn.decode()))
    return records


def rewrite_lines(path: Path, records: Iterable[Any]) -> None:
    """Replace a JSON-lines file by these records, atomically."""
    write_text(path, "".join(dumps(record) + "\n" for record in records))


def _parse(path: Path, number: int, line: bytes) -> Any:
    try:
        return loads(line.decode())
    except ValueError as error:
        raise InputError(f"{path}, line {number}: not valid JSON ({error})") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        doubled = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"key '{doubled}' is there twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is out of range")
    return number
