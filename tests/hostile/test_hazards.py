"""Bad inputs that would wait for ever or fill the memory: refused at once by a process that has little of it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from generator import CASES, Case, Place

HAZARDS = [case for case in CASES if case.hazard]
LONGEST = 120  # seconds for all of them; they take ten

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is confined on Linux alone")


@pytest.fixture(scope="module")
def answers(sound_place, tmp_path_factory) -> dict[str, dict]:
    """What one confined process said to each case; a case without an answer hung, and so did those after it."""
    folder = tmp_path_factory.mktemp("hazards")
    commands = [_prepared(case, folder / str(number), sound_place) for number, case in enumerate(HAZARDS)]
    (folder / "commands.json").write_text(json.dumps(commands))
    (folder / "cwd").mkdir()
    program = Path(__file__).with_name("run_confined.py")
    try:
        done = subprocess.run(
            [sys.executable, program, folder / "commands.json"], capture_output=True, cwd=folder / "cwd", timeout=LONGEST
        )
        output = done.stdout
    except subprocess.TimeoutExpired as late:
        output = late.stdout or b""
    said = {case.id: json.loads(line) for case, line in zip(HAZARDS, output.splitlines(), strict=False)}
    assert not any((folder / "cwd").iterdir())
    return {case.id: said[case.id] | {"begun": (folder / str(number) / "out").exists()}
            for number, case in enumerate(HAZARDS) if case.id in said}  # fmt: skip


def _prepared(case: Case, folder: Path, sound_place: Place) -> list[str]:
    shutil.copytree(sound_place.root, folder)
    place = Place(folder)
    case.spoil(place)
    return place.arguments(case.verb)


@pytest.mark.parametrize("case", HAZARDS, ids=lambda case: case.id)
def test_refused_at_once(case, answers):
    assert case.id in answers, "no answer: it hung, or the one before it did"
    answer = answers[case.id]
    assert answer["code"] == 2, answer
    assert answer["told"].startswith("jaxtrunc: error: ") and answer["told"].count("\n") == 1
    assert all(name in answer["told"] for name in case.names), answer
    assert answer["seconds"] < 20 and not answer["begun"]
