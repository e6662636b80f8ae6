"""How a token is shown to a person: one line of visible characters that means one piece, whatever the piece holds."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtrunc.core.bounded import read_text
from jaxtrunc.core.errors import InputError
from jaxtrunc.lens.pieces import piece_texts, raw_pieces

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["raw_pieces", "read_redactions", "redacted", "token_texts", "visible"]

SPACE, CIRCLE, MASK = "␠", "◌", "▇"
_STRAY = re.compile("([\udc80-\udcff])")
# Characters that count as printable and leave no mark: fillers, joiners, variation selectors, the empty Braille cell; and
# the sign that stands for a space, so that it always means one.
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2420\u2800\u3164\ufe00-\ufe0f\uffa0"
                     "\U000e0100-\U000e01ef]")
_PLAIN = re.compile(r"[!-\[\]-~]*")  # visible ASCII but the backslash: most pieces, and nothing to do for them


def token_texts(tokenizer: "PreTrainedTokenizerBase", rows: int) -> list[str | None]:
    """The text to show for each token id below `rows`; None where the tokenizer has no such id."""
    shown = [None if text is None else visible(text) for text in piece_texts(tokenizer)[:rows]]
    return shown + [None] * (rows - len(shown))


def visible(text: str) -> str:
    r"""Text in visible characters of one line.

    A space is ␠, a backslash `\\`, what leaves no mark an escape as in Python (`\n`, `\u200b`, a lone surrogate `\ud800`), a
    byte that is part of no character (a surrogate from U+DC80 to U+DCFF, as `piece_texts` gives) `<0xE6>`, and a combining
    mark without a letter before it stands on ◌. Signs that change the direction of writing are escaped; right-to-left
    letters stay, and a page has to isolate them.
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(f"<0x{ord(part) - 0xDC00:02X}>" if _STRAY.fullmatch(part) else _line(part) for part in _STRAY.split(text))


def _line(text: str) -> str:
    shown, standing = [], False  # whether a combining mark would have a letter to stand on
    for character in text:
        escaped = character == "\\" or not character.isprintable() or bool(_UNSEEN.match(character))
        mark = not escaped and unicodedata.category(character).startswith("M")
        shown.append(character.encode("unicode_escape").decode("ascii") if escaped else
                     SPACE if character == " " else CIRCLE + character if mark and not standing else character)
        standing = not escaped and character != " "
    return "".join(shown)


def read_redactions(file: Path) -> tuple[str, ...]:
    """The words of a file of `--redact`, one a line; spaces around a word and empty lines do not count.

    Raises:
      InputError: the file is missing, not UTF-8, or holds no word.
    """
    words = tuple(dict.fromkeys(filter(None, (line.strip() for line in read_text(file).lstrip("\ufeff").splitlines()))))
    if not words:
        raise InputError(f"{file}: holds no words to mask; expected one a line")
    return words


def redacted(texts: Sequence[str | None], words: Sequence[str]) -> list[str | None]:
    """Texts of `token_texts` with every character of the listed words, in upper or lower case, replaced by ▇."""
    if not words:
        return list(texts)
    longest_first = sorted(map(visible, words), key=len, reverse=True)
    found = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
    return [None if text is None else found.sub(lambda match: MASK * len(match[0]), text) for text in texts]
