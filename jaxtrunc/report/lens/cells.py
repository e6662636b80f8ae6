"""What stands in the tables of the page: text, numbers in words, and tokens with their ids."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Facts = dict[str, Any]  # lens.json, or a part of it
NONE = "n/a"  # a score that is not defined, such as a z where half of the rows have the same value
MOST = 28  # characters of a token that are shown
ISOLATE, END = "\u2068", "\u2069"  # what is between them may be written from right to left, the rest of the line not


@dataclass(frozen=True)
class Token:
    """One token: its id, always, and its text where it may be shown.

    Attributes:
      note: a number that stands beside it.
      category: what kind of token it is; `ok` and `unknown` go without saying.
    """

    id: int
    text: str | None
    note: str = ""
    category: str = "ok"

    @property
    def shown(self) -> str | None:
        """The text, cut to `MOST` characters, with how many more there are."""
        if self.text is None or len(self.text) <= MOST:
            return self.text
        return f"{self.text[:MOST]}…(+{len(self.text) - MOST})"

    @property
    def kind(self) -> str:
        """The category, where it is worth a word."""
        return "" if self.category in ("ok", "unknown") else self.category

    @property
    def isolated(self) -> str | None:
        """The text for where there is no `<bdi>`: between signs that keep its direction of writing inside."""
        text = self.shown
        return text if text is None or text.isascii() else f"{ISOLATE}{text}{END}"


Cell = str | Token | Sequence[Token]


@dataclass(frozen=True)
class Table:
    """Column heads and rows; the first column names the row.

    Attributes:
      title: the caption; may be empty.
      note: a sentence below; may be empty.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    title: str = ""
    note: str = ""


def tokens(ids: Iterable[int], texts: Iterable[str | None], notes: Iterable[str] | None = None,
           categories: Iterable[str] | None = None) -> tuple[Token, ...]:
    """Tokens from columns of equal length."""
    ids = list(ids)
    return tuple(Token(*parts) for parts in zip(ids, texts, notes or [""] * len(ids), categories or ["ok"] * len(ids), strict=True))


def figures(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits, a true minus sign, and `n/a` for null."""
    if value is None:
        return NONE
    text = f"{value:.{digits}g}" if value == 0 or 1e-3 <= abs(value) < 10**digits - 0.5 else _large_or_small(value, digits)
    return text.replace("-", "−")


def _large_or_small(value: float, digits: int) -> str:
    return f"{value:,.0f}" if 1 <= abs(value) < 1e9 else f"{value:.{digits - 1}e}"


def share(value: float | None) -> str:
    """A fraction in per cent with three significant digits; never broken before the sign."""
    return NONE if value is None else f"{figures(100 * value)}\u00a0%"


def count(value: int | None) -> str:
    """A whole number with separators."""
    return NONE if value is None else f"{value:,}"


def plural(number: int, one: str, many: str = "") -> str:
    """`1 token`, `2,000 tokens`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def id_ranges(ids: Sequence[int], most: int = 12) -> str:
    """Ascending ids as ranges: `3–258, 700`; after `most` ranges how many ids are left."""
    runs: list[list[int]] = []
    for token in sorted(ids):
        if runs and token == runs[-1][1] + 1:
            runs[-1][1] = token
        else:
            runs.append([token, token])
    said = [str(low) if low == high else f"{low}–{high}" for low, high in runs[:most]]
    left = sum(high - low + 1 for low, high in runs[most:])
    return ", ".join(said) + (f" and {count(left)} more" if left else "")
