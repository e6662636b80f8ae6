"""docs/library.md is a program: its blocks run in order, and what they print is what the page shows."""

import contextlib
import io
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "library.md"
NUMBER = re.compile(r"-?\d+\.\d+")


def blocks() -> list[tuple[str, str]]:
    """Every python block, with the text block that follows it as its output, or nothing."""
    return re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", PAGE.read_text(), re.S)


def run(code: str, names: dict) -> str:
    heard = io.StringIO()
    with contextlib.redirect_stdout(heard):
        exec(compile(code, PAGE.name, "exec"), names)
    return heard.getvalue()


def assert_alike(printed: str, shown: str) -> None:
    """The same words; numbers with a decimal point may differ as they do between two kinds of processor."""
    assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", shown).split(), printed
    found, wanted = ([float(number) for number in NUMBER.findall(text)] for text in (printed, shown))
    assert found == pytest.approx(wanted, rel=0.05, abs=0.03), printed


def test_the_page_does_what_it_shows():
    pytest.importorskip("sklearn", reason="the page trains on the digits of scikit-learn")
    names: dict = {"__name__": "notebook"}
    shown_any = 0
    for code, shown in blocks():
        printed = run(code, names)
        assert bool(printed) == bool(shown), code[:200]
        assert_alike(printed, shown)
        shown_any += bool(shown)
    assert shown_any >= 6
