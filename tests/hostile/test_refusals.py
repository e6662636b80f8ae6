"""Every bad input ends in exit code 2 with one sentence, nothing written elsewhere, and little memory."""

import re
from pathlib import Path

import pytest
from generator import CASES

from jaxtrunc.cli import main

MEMORY = 256 << 20  # an import of a library in the first case that needs it takes most of it


def peak() -> int:
    """Bytes of memory the process has held at most since `forget_peak`; 0 where the system does not say."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) << 10 if found else 0


def forget_peak() -> None:
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def test_ids_are_distinct():
    assert len({case.id for case in CASES}) == len(CASES) >= 60


@pytest.mark.parametrize("case", [case for case in CASES if not case.hazard], ids=lambda case: case.id)
def test_refused(case, place, contents, capsys):
    case.spoil(place)
    before = contents()
    forget_peak()
    start = peak()
    with pytest.raises(SystemExit) as stop:
        main(place.arguments(case.verb))
    used, (said, told) = peak() - start, capsys.readouterr()
    assert stop.value.code == 2, told
    assert told.startswith("jaxtrunc: error: ") and told.count("\n") == 1 and said == "", told
    assert len(told) < 4200 and told[:-1].isprintable()
    assert all(name in told for name in case.names), told
    assert used < MEMORY
    after = contents()
    allowed = {file for file in after if case.begins and (place.out in file.parents or place.run in file.parents)}
    assert {file: after[file] for file in after.keys() - allowed} == {file: before[file] for file in before.keys() - allowed}
    assert case.begins or not place.out.exists()
