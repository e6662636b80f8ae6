"""Bytes as people write them."""

import re

from jaxtrunc.core.errors import InputError

UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_NAMES = {name.lower(): size for name, size in UNITS.items()}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*")


def parse_size(flag: str, text: str) -> int:
    """Bytes of a size such as 16GiB or 80GB; `InputError` names the flag."""
    found = _SIZE.fullmatch(text)
    if found is None or found[2].lower() not in _NAMES or not float(found[1]):
        raise InputError(f"{flag}: expected a size above 0 with its unit, such as 16GiB or 80GB, found '{text}'")
    return int(float(found[1]) * _NAMES[found[2].lower()])


def in_words(size: int) -> str:
    """`15.2 GiB`; three digits, binary units."""
    unit = next((name for name in ("TiB", "GiB", "MiB", "KiB") if size >= UNITS[name]), "B")
    value = size / UNITS[unit]
    return f"{value:.{0 if value >= 100 or unit == 'B' else 1 if value >= 10 else 2}f} {unit}"
