"""A folder of sound inputs and a finished run, copied for every case to spoil."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sound
from generator import Place
from generator.case import DECOMPOSE, SWEEP

from jaxtrunc.cli import main


@pytest.fixture(scope="session")
def sound_place(tmp_path_factory) -> Place:
    """Sound inputs of every kind, and a run made from them."""
    place = Place(tmp_path_factory.mktemp("sound"))
    sound.make(place.root)
    main(place.arguments(DECOMPOSE))
    place.out.rename(place.run)
    with contextlib.redirect_stdout(None):
        main(place.arguments(SWEEP))
    return place


@pytest.fixture
def place(sound_place, tmp_path, monkeypatch) -> Place:
    """A copy of everything; the current directory is an empty one."""
    shutil.copytree(sound_place.root, tmp_path / "place")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return Place(tmp_path / "place")


@pytest.fixture
def contents(tmp_path):
    """A function that lists every file under the test's folder with size and time of change, a run's lock left out."""

    def listed() -> dict[Path, tuple[int, int]]:
        return {file: (stat.st_size, stat.st_mtime_ns) for file, stat in _stats(tmp_path)}

    return listed


def _stats(folder: Path) -> Iterator:
    for file in folder.rglob("*"):
        if not file.is_dir() and file.name != ".lock":
            yield file, file.lstat()
