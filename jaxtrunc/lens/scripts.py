"""Which writing systems a group of tokens mixes: VCS cannot tell a shared meaning from a shared script."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

import numpy as np

_ESCAPED = re.compile(r"<0x[0-9A-F]{2}>|\\(?:x..|u....|U........|.)")
COMMON = "Common"
_HAN = {"CJK": "Han", "IDEOGRAPHIC": "Han"}


def script_mix(texts: Iterable[str | None]) -> tuple[dict[str, int] | None, float | None]:
    """Tokens per script, most first, and the entropy of that mix in nats; None if a text is not known.

    The script of a token is that of most of its letters, by the first word of their Unicode names; without letters `Common`.
    """
    found = list(texts)
    if any(text is None for text in found):
        return None, None
    counts = Counter(_script(text) for text in found if text is not None)
    shares = np.array(list(counts.values())) / len(found)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))), float(-np.sum(shares * np.log(shares))) + 0.0


def _script(text: str) -> str:
    letters = Counter(_name(sign) for sign in _ESCAPED.sub("", text) if sign.isalpha())
    return min(letters, key=lambda name: (-letters[name], name)) if letters else COMMON


def _name(letter: str) -> str:
    first = unicodedata.name(letter, "UNKNOWN").split()[0]
    return _HAN.get(first, first.capitalize())
