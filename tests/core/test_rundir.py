"""What may be written into a run directory, and what is noticed of it."""

import json
import os
import stat
import subprocess
import sys

import pytest

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.files import new_directory
from jaxtrunc.core.rundir import RunDir, open_run, relative_to_run, sha256


@pytest.fixture
def run(tmp_path):
    run = RunDir(tmp_path / "run")
    run.begin("decompose", "decomposition", {"base_model": "a"}, resume=False)
    return run


def test_a_verb_refuses_its_own_artefact_only(run):
    with run.stage("decomposition") as staged:
        (staged / "s.bin").write_bytes(b"1234")
    with pytest.raises(InputError, match=r"already holds decomposition.*--resume"):
        run.check_free("decomposition", resume=False)
    run.check_free("decomposition", resume=True)
    run.check_free("records.jsonl", resume=False)


@pytest.mark.parametrize("make", [lambda path: os.mknod(path, 0o600 | stat.S_IFSOCK), lambda path: path.symlink_to("nowhere")],
                         ids=["socket", "broken link"])
def test_what_is_no_directory_is_never_replaced(make, tmp_path):
    """A rename would put the new directory in the place of a device or socket."""
    make(tmp_path / "taken")
    before = os.lstat(tmp_path / "taken")
    with pytest.raises(InputError, match="choose another --out-path"), new_directory(tmp_path / "taken"):
        pass
    assert os.lstat(tmp_path / "taken").st_ino == before.st_ino
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_pipe_is_no_run(tmp_path):
    os.mkfifo(tmp_path / "taken")
    with pytest.raises(InputError, match="is a file, device"):
        RunDir(tmp_path / "taken").check_free("model", resume=False)


def test_a_strangers_directory_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    for resume in (False, True):
        with pytest.raises(InputError, match=r"no manifest\.json"):
            RunDir(tmp_path).check_free("model", resume=resume)
    with pytest.raises(InputError, match="is a file, device"):
        RunDir(tmp_path / "thesis.tex").check_free("model", resume=False)
    with pytest.raises(InputError, match=r"runs/a: cannot be made, since .*/thesis\.tex is a file"):
        RunDir(tmp_path / "thesis.tex" / "runs" / "a").check_free("model", resume=False)


def test_a_failed_stage_leaves_nothing_that_looks_finished(run):
    with pytest.raises(RuntimeError), run.stage("decomposition") as staged:
        (staged / "half").write_text("x")
        raise RuntimeError
    assert not (run / "decomposition").exists() and run.manifest["files"] == {}


def test_a_resumed_stage_finds_what_was_there(run):
    with pytest.raises(RuntimeError), run.stage("decomposition", resume=True) as staged:
        (staged / "half").write_text("x")
        raise RuntimeError
    with run.stage("decomposition", resume=True) as staged:
        assert (staged / "half").exists()


def test_checksums_notice_a_change(run):
    with run.stage("decomposition") as staged:
        (staged / "s.bin").write_bytes(b"1234")
    run.verify("decomposition", "decompose")
    assert run.manifest["files"] == {"decomposition/s.bin": sha256(run / "decomposition" / "s.bin")}
    (run / "decomposition" / "s.bin").write_bytes(b"1235")
    with pytest.raises(InputError, match=r"s\.bin: missing or changed"):
        run.verify("decomposition", "decompose")


def test_a_resume_with_another_base_is_refused(run):
    run.begin("decompose", "decomposition", {"base_model": "a"}, resume=True, fixed=("base_model",))
    with pytest.raises(InputError, match="another base_model"):
        run.begin("decompose", "decomposition", {"base_model": "b"}, resume=True, fixed=("base_model",))
    assert run.manifest["verbs"]["decompose"]["base_model"] == "a"


def test_one_process_at_a_time(run):
    with run.lock(), pytest.raises(InputError, match=rf"process {os.getpid()} on .*, since 20.* is writing here"), run.lock():
        pass
    with run.lock():
        pass


def test_a_killed_writer_leaves_no_lock(run):
    code = ("import sys, os; from pathlib import Path; from jaxtrunc.core.rundir import RunDir\n"
            "with RunDir(Path(sys.argv[1])).lock(): os.kill(os.getpid(), 9)")
    assert subprocess.run([sys.executable, "-c", code, str(run.path)]).returncode == -9
    with run.lock():
        pass


def test_what_was_changed_is_named_and_made_again(run, capsys):
    with run.stage("decomposition") as staged:
        (staged / "a.bin").write_bytes(b"1234")
        (staged / "b.bin").write_bytes(b"5678")
    assert run.is_finished("decomposition")
    (run / "decomposition" / "b.bin").write_bytes(b"5679")
    assert not run.is_finished("decomposition")
    assert str(run / "decomposition" / "b.bin") in capsys.readouterr().err and not (run / "decomposition").exists()
    with run.stage("decomposition", resume=True) as staged:
        assert (staged / "a.bin").read_bytes() == b"1234"  # what is sound can be kept
        (staged / "b.bin").write_bytes(b"5678")
    assert run.is_finished("decomposition")
    run.verify("decomposition", "decompose")


def test_a_kill_between_the_renaming_and_the_checksums(run, monkeypatch):
    monkeypatch.setattr(RunDir, "seal", lambda *_: None)
    with run.stage("decomposition") as staged:
        (staged / "a.bin").write_bytes(b"1234")
    assert run.manifest["files"] == {}
    assert run.is_finished("decomposition")
    assert run.manifest["files"] == {"decomposition/a.bin": sha256(run / "decomposition" / "a.bin")}


def test_paths_inside_are_relative(run, tmp_path):
    assert relative_to_run(run.path, run / "model") == "model"
    assert relative_to_run(run.path, tmp_path / "elsewhere") == str(tmp_path / "elsewhere")


def test_open_run_says_what_is_missing(run, tmp_path):
    with pytest.raises(InputError, match="not a run directory"):
        open_run(tmp_path / "none", "decomposition", "decompose")
    with pytest.raises(InputError, match="holds no decomposition; run `jaxtrunc decompose`"):
        open_run(run.path, "decomposition", "decompose")


def test_the_manifest_is_json_with_a_version(run):
    assert json.loads((run / "manifest.json").read_text())["schema_version"] == 1
