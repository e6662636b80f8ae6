"""Help that teaches, errors in one line, exit codes."""

import importlib
import subprocess
import sys

import pytest

from jaxtrunc import __version__
from jaxtrunc.verbs import VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_help_teaches(verb, capsys):
    from jaxtrunc.cli import main

    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    said = capsys.readouterr().out
    assert stop.value.code == 0 and "Example:" in said and f"jaxtrunc {verb}" in said


def test_python_dash_m_is_the_same_program():
    done = subprocess.run([sys.executable, "-m", "jaxtrunc", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, f"jaxtrunc {__version__}")


@pytest.mark.parametrize(("arguments", "words"), [
    (["swep"], ["swep", "sweep"]), (["sweep", "run"], ["--task"]), (["report", "run", "--colour"], ["--colour"]), ([], ["demo"]),
    (["decompose", "--base-model", "a", "--model", "b", "--out-path", "c", "--backend", "magic"], ["magic", "gram64"]),
])
def test_wrong_usage(refused, arguments, words):
    refused(*arguments, words=words)


def test_debug_shows_the_traceback(jaxtrunc, tmp_path):
    code, said = jaxtrunc("report", tmp_path / "none", "--debug")
    assert code == 2 and "Traceback" in said and "jaxtrunc: error: " in said


def test_flags_accept_underscores(refused, tmp_path):
    refused("decompose", "--base_model", tmp_path / "a", "--model", tmp_path / "b", "--out_path", tmp_path / "c", words=("/a",))


def test_a_defect_says_so(jaxtrunc, monkeypatch, tmp_path):
    from jaxtrunc.recipes import report

    monkeypatch.setattr(report, "open_run", lambda *_: 1 / 0)
    code, said = jaxtrunc("report", tmp_path)
    assert code == 1 and "ZeroDivisionError" in said and "Traceback" not in said


@pytest.mark.parametrize(("verb", "module", "first", "says"), [
    ("steer", "jaxtrunc.recipes.steer.run", "read_config", "--resume continues"),
    ("report", "jaxtrunc.recipes.report", "open_run", "give the same command again")])
def test_an_interrupt_says_how_to_go_on(verb, module, first, says, jaxtrunc, monkeypatch, tmp_path):
    """Not every verb has --resume."""
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module(module), first, stopped)
    code, said = jaxtrunc(verb, tmp_path)
    assert code == 3 and says in said


def test_doctor_finds_the_decomposition_right(jaxtrunc):
    assert jaxtrunc("doctor")[0] == 0


def test_plan_without_a_config_has_no_values_to_replace(refused, tmp_path):
    refused("plan", "train.batch_size=8", "--base-model", tmp_path, words=("train.batch_size=8", "--base-model"))


def test_too_little_memory_is_no_defect(jaxtrunc, monkeypatch, tmp_path):
    from jaxtrunc.recipes import report

    def full(*_):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes.")

    monkeypatch.setattr(report, "open_run", full)
    code, said = jaxtrunc("report", tmp_path)
    assert code == 1 and "memory" in said and "defect" not in said and "jaxtrunc plan" in said


def test_a_reader_who_has_seen_enough_is_no_error():
    command = [sys.executable, "-m", "jaxtrunc", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout and program.stderr
        program.stdout.close()
        assert program.stderr.read() == ""


def test_a_resumed_verb_says_which_setting_differs(tmp_path):
    from jaxtrunc.core.errors import InputError
    from jaxtrunc.core.rundir import RunDir

    RunDir(tmp_path).begin("finetune", "model", {"train": {"seed": 0, "max_steps": 2}}, resume=False)
    with pytest.raises(InputError, match=r"another train \(max_steps was 2, is 4\)"):
        RunDir(tmp_path).begin("finetune", "model", {"train": {"seed": 0, "max_steps": 4}}, resume=True, fixed=("train",))
