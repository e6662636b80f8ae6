"""What a check says."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of the table.

    Attributes:
      what: the thing looked at.
      found: what was found, in words.
      remedy: one sentence that says what to do about it; empty where all is well.
      wrong: results would be wrong or runs would fail; else the remedy is advice.
    """

    what: str
    found: str
    remedy: str = ""
    wrong: bool = False


Findings = list[Finding]
