"""What docs/benchmarks.md says."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()


def blocks(language: str) -> list[str]:
    """The contents of its fenced blocks."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)


def commands_of_the_page() -> list[str]:
    """Its commands, in the order in which they stand."""
    return [line for block in blocks("shell") for line in block.splitlines() if line]
