"""Numbers that depend on a text alone: the same on every machine, for any order and any number of rows."""

import hashlib


def uniforms(text: str, count: int = 1) -> tuple[float, ...]:
    """`count` (at most 4) numbers in [0, 1) from a hash of `text`, 53 bits each."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    words = (int.from_bytes(digest[8 * i:8 * i + 8], "big") for i in range(count))
    return tuple((word >> 11) * 2.0**-53 for word in words)
