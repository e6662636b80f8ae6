"""A folder of stand-in executables in front of the PATH, and the launchers run with it."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / "launch"
NAMES = ("gcloud", "srun", "scontrol", "jaxtrunc")


class StandIns:
    """Executables of these names that record how they were called."""

    def __init__(self, folder: Path):
        self.folder, self.remote = folder, folder / "remote"
        self.remote.mkdir()
        text = (Path(__file__).parent / "standin.py").read_text()
        for name in NAMES:
            program = folder / name
            program.write_text(f"#!{sys.executable} -SE\n{text}")
            program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def answer(self, *script: tuple[str, list[dict]]) -> None:
        """Each entry: words that must occur in a call, and its answers in order."""
        entries = [{"words": words.split(), "answers": answers} for words, answers in script]
        (self.folder / "answers.json").write_text(json.dumps(entries))

    def calls(self, *words: str) -> list[list[str]]:
        """The recorded calls in which all these words occur."""
        path = self.folder / "calls.jsonl"
        found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [call for call in found if all(word in " ".join(call) for word in words)]

    def checkout(self) -> Path:
        """What setup would have left on the remote host: launch/host.sh, and a program that prints its arguments."""
        (self.remote / "jaxtrunc" / "launch").mkdir(parents=True)
        shutil.copy(LAUNCH / "host.sh", self.remote / "jaxtrunc" / "launch")
        program = self.remote / ".venvs/jaxtrunc/bin/jaxtrunc"
        program.parent.mkdir(parents=True)
        program.symlink_to(self.folder / "jaxtrunc")
        return self.remote / "jaxtrunc"

    def run(self, script: str, *arguments: str, typed: str = "", **environment: str) -> subprocess.CompletedProcess:
        """A launcher with the stand-ins in front of the PATH."""
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(["bash", str(ROOT / script), *arguments], input=typed, capture_output=True, text=True, timeout=60,
                              env=os.environ | {"PATH": path} | environment, check=False)


@pytest.fixture
def standins(tmp_path) -> StandIns:
    return StandIns(tmp_path)
