"""One row of any source, before it is understood."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """A row as it stands in its source.

    Attributes:
      number: its place in the file or data set, from 0.
      where: how messages name it, such as `rows.jsonl, line 3`.
      values: column → value; None if the row could not be parsed.
      fault: why it could not be parsed.
    """

    number: int
    where: str
    values: Mapping[str, Any] | None
    fault: str = ""
