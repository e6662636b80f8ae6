"""A study from end to end: killed and resumed, what fails is named and the rest done, what is done is skipped.

Both base models are the same files, so cells of one seed must agree, and nothing is compiled for the second base or seed.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from short_runs import SHORT

FIRST, SECOND, LATE_FIRST, LATE_SECOND = CELLS = ("small-marker-s0", "small-marker-s1", "late-marker-s0", "late-marker-s1")
LORA = {"ranks": [2], "learning_rates": [1e-3, 1e-2]}


@dataclass
class History:
    """A study as it was made: its directory, and after each call what was said and which programs were compiled so far."""

    path: Path
    codes: list[int] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    compiled: list[set[str]] = field(default_factory=list)
    states: list[dict[str, str]] = field(default_factory=list)
    written: list[dict[str, int]] = field(default_factory=list)

    def results(self, cell: str) -> dict:
        return json.loads((self.path / cell / "results.json").read_text())


@pytest.fixture(scope="module")
def history(workshop, tmp_path_factory) -> History:
    """One seed, killed in its sweep; resumed, with one base model missing; resumed with that one there and a second seed."""
    place = tmp_path_factory.mktemp("studies")
    grid = {"name": "made", "base_models": {"small": "small", "late": "late"}, "tasks": {"marker": "marker.yaml"}, "lora": LORA}
    (workshop / "made.yaml").write_text(yaml.safe_dump(grid | SHORT, sort_keys=False))
    made = History(place / "made")
    words = ["study", str(workshop / "made.yaml"), "--out-path", str(place)]
    kill_in_the_sweep(words, made.path / FIRST, place)
    call(made, [*words, "--resume", "seeds=[0]"], place)
    shutil.copytree(workshop / "small", workshop / "late")
    call(made, [*words, "--resume", "seeds=[0,1]"], place)
    return made


def start(words: list[str], place: Path) -> subprocess.Popen:
    """The program on one device, with a folder of compiled programs of its own."""
    environment = os.environ | {"XLA_FLAGS": "", "JAX_COMPILATION_CACHE_DIR": str(place / "compiled"),
                                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    return subprocess.Popen([sys.executable, "-m", "jaxtrunc", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=environment)


def kill_in_the_sweep(words: list[str], cell: Path, place: Path) -> None:
    with start(words, place) as process:
        while process.poll() is None and not ((cell / "records.jsonl").exists() and (cell / "records.jsonl").stat().st_size):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        said = process.communicate()[1]
    assert process.returncode == -signal.SIGKILL and not (cell / "results.json").exists(), said


def call(made: History, words: list[str], place: Path) -> None:
    with start(words, place) as process:
        made.said.append(process.communicate(timeout=600)[1])
    made.codes.append(process.returncode)
    made.compiled.append({file.name for file in (place / "compiled").iterdir() if file.name.endswith("-cache")})
    cells = json.loads((made.path / "study.json").read_text())["cells"]
    made.states.append({name: cell["state"] for name, cell in cells.items()})
    made.written.append({file.parent.name: file.stat().st_mtime_ns for file in made.path.glob("*/results.json")})


@pytest.mark.slow
def test_a_failed_cell_is_named_and_the_others_are_done(history):
    assert history.codes[0] == 1
    assert history.states[0] == {FIRST: "done", LATE_FIRST: "failed"}
    (error,) = [line for line in history.said[0].splitlines() if line.startswith("jaxtrunc: error: ")]
    assert "1 of 2 cells failed" in error and f"{LATE_FIRST} (" in error and "--resume" in error


@pytest.mark.slow
def test_resume_skips_what_is_done(history):
    assert history.codes[1] == 0, history.said[1]
    assert "4 cells" in history.said[1] and "1 of them done" in history.said[1]
    assert f"cell 2 of 4: {SECOND}, " in history.said[1] and " left" in history.said[1]
    assert set(history.states[1].values()) == {"done"} and history.written[1].keys() == set(CELLS)
    assert history.written[1][FIRST] == history.written[0][FIRST]


@pytest.mark.slow
def test_a_killed_cell_comes_out_as_an_undisturbed_one(history):
    killed, undisturbed = history.results(FIRST), history.results(LATE_FIRST)
    assert killed["records"] == undisturbed["records"] and killed["verdict"] == undisturbed["verdict"]
    assert killed["records"] != history.results(SECOND)["records"]


@pytest.mark.slow
def test_nothing_is_compiled_for_another_seed_or_a_base_of_the_same_shape(history):
    assert history.compiled[0] and history.compiled[1] == history.compiled[0]


@pytest.mark.slow
def test_the_learning_rate_of_lora_is_chosen_once(history):
    first, second = (json.loads((history.path / name / "lora" / "rates.json").read_text()) for name in (FIRST, SECOND))
    assert len(first["searched"]) == 2 and not first["given"]
    assert second["given"] and second["learning_rate"] == first["learning_rate"]
    assert history.results(SECOND)["lora"]["learning_rate"] == first["learning_rate"]


@pytest.mark.slow
def test_seeds_differ_in_the_seed_alone(history):
    manifests = [json.loads((history.path / name / "manifest.json").read_text()) for name in (FIRST, SECOND)]
    configs = [manifest["verbs"]["run"]["config"] for manifest in manifests]
    assert [config["train"].pop("seed") for config in configs] == [0, 1]
    rates = [config["lora"].pop("learning_rate") for config in configs]
    assert rates[0] is None and rates[1] in LORA["learning_rates"]
    assert [config.pop("name") for config in configs] == [FIRST, SECOND]
    assert configs[0] == configs[1]


@pytest.mark.slow
def test_it_is_not_begun_anew_unasked(history, workshop, program):
    code, _, said = program("study", workshop / "made.yaml", "--out-path", history.path.parent)
    assert code == 2 and "already holds a study" in said and "--resume" in said


def test_an_interrupted_study_can_be_resumed(grid, program, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxtrunc.recipes.study.make_run", interrupt)
    code, _, said = program("study", grid("stopped", seeds=[0, 1]), "--out-path", tmp_path)
    assert code == 3 and "--resume" in said and "cell 2" not in said


def test_every_failure_of_a_study_stands_in_one_line(grid, program, tmp_path):
    file = grid("broken", base_models={"none": "nowhere", "nil": "nothing"})
    code, _, said = program("study", file, "--out-path", tmp_path, "-q")
    errors = [line for line in said.splitlines() if line.startswith("jaxtrunc: error: ")]
    assert code == 1 and len(errors) == 1 and "Traceback" not in said
    assert "2 of 2 cells failed" in errors[0] and "none-marker-s0 (" in errors[0] and "nil-marker-s0 (" in errors[0]


def test_a_wrong_grid_stops_before_anything_runs(grid, program, tmp_path):
    sound, wrong = grid("sound"), grid("wrong", sweep={"operators": ["top_kk"]})
    code, _, said = program("study", sound, wrong, "--out-path", tmp_path / "out")
    assert code == 2 and "top_kk" in said and not (tmp_path / "out").exists()
    assert program("study", sound, sound, "--out-path", tmp_path / "out")[0] == 2  # two of one name
    assert program("study", "seeds=[0]")[0] == 2


def test_a_directory_of_others_is_refused(grid, program, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for flags in ((), ("--resume",)):
        code, _, said = program("study", grid("mine"), "--out-path", tmp_path, *flags)
        assert code == 2 and "no study" in said
