"""A disk that fills up: a clear error, nothing that was there is lost, and it goes on when there is room again."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from jaxtrunc.cli import main
from jaxtrunc.demo import ASSETS

SIZE = 64 << 20
TRAIN = ("train.max_steps=4", "train.checkpoint_every=2", "train.batch_size=32", "train.learning_rate=3e-3")
SWEEP = ("--operators", "top_k", "--ranks", "1,4", "--limit", "40")


@pytest.fixture
def disk(tmp_path):
    """A small file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"a small file system needs the right to mount one ({made.stderr.strip()})")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, leave: int) -> None:
    """Take all the room but `leave` bytes."""
    room = shutil.disk_usage(disk).free - leave
    with open(disk / "filler", "wb") as file:
        while room > 0:
            room -= file.write(b"\0" * min(room, 1 << 20))


def prints(folder: Path) -> dict[str, str]:
    """Digest of every file that has a name of its own (no stage, no checkpoint in the making)."""
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.rglob("*"))
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)}


def run(capsys, *arguments) -> tuple[int, list[str]]:
    capsys.readouterr()
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, [line for line in capsys.readouterr().err.splitlines() if line.startswith("jaxtrunc: error: ")]


def verbs(run_dir: Path) -> dict[str, tuple]:
    base, task = ASSETS / "model", ASSETS / "task.yaml"
    return {
        "finetune": ("finetune", "--base-model", base, "--task", task, "--out-path", run_dir, *TRAIN),
        "decompose": ("decompose", "--base-model", base, "--model", run_dir / "model", "--out-path", run_dir),
        "sweep": ("sweep", run_dir, "--task", task, *SWEEP),
        "report": ("report", run_dir),
        "export": ("export", run_dir, "--rank", "4", "--format", "hf", "--out-path", run_dir.with_name("export")),
    }


@pytest.mark.parametrize("leave", [100_000, *(pytest.param(room, marks=pytest.mark.slow) for room in (0, 1_500_000))])
def test_every_verb_on_a_full_disk(disk, capsys, leave):
    commands = verbs(disk / "run")
    refused = 0
    for verb, command in commands.items():
        before = prints(disk)
        fill(disk, leave)
        code, said = run(capsys, *command)
        (disk / "filler").unlink()
        if code:
            refused += 1
            assert code == 1 and len(said) == 1 and "No space left on device" in said[0], (verb, code, said)
            assert str(disk) in said[0], said[0]
        after = prints(disk)
        assert {name: after.get(name) for name in before if name not in GROWING} == \
            {name: known for name, known in before.items() if name not in GROWING}, verb
        if code:
            again = (*command, "--resume") if verb in ("finetune", "decompose", "sweep") else command
            assert run(capsys, *again) == (0, []), verb
    assert refused >= (3 if leave < 1_000_000 else 1)


GROWING = {"run/manifest.json", "run/metrics.jsonl", "run/records.jsonl"}  # these are added to, and written anew when whole
