"""What all launchers have in common: clean shell, help that teaches, a JobSet that calls our program, a careful setup."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from jaxtrunc.cli import parse

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted([*ROOT.glob("launch/*.sh"), *ROOT.glob("launch/*.sbatch"), ROOT / "tpu_setup.sh"])


def test_shellcheck_is_clean():
    tool = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")
    if tool is None:
        pytest.skip("shellcheck is not installed (extra `test`)")
    done = subprocess.run([tool, "-s", "bash", *map(str, SCRIPTS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("script", [script for script in SCRIPTS if script.suffix == ".sh"], ids=lambda script: script.name)
def test_help_teaches(script):
    done = subprocess.run(["bash", str(script), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and script.name in done.stdout and "--" in done.stdout and done.stderr == ""


def test_the_jobset_calls_our_program():
    jobset = yaml.safe_load((ROOT / "launch/kubernetes.yaml").read_text())
    [replicated] = jobset["spec"]["replicatedJobs"]
    job = replicated["template"]["spec"]
    [container] = job["template"]["spec"]["containers"]
    assert container["command"][0] == "jaxtrunc"
    verb = parse(container["command"][1:])
    assert verb.resume and str(verb.out_path).startswith(container["volumeMounts"][0]["mountPath"])
    environment = {entry["name"]: entry for entry in container["env"]}
    assert int(environment["JAX_NUM_PROCESSES"]["value"]) == job["parallelism"] == job["completions"]
    host = f"{jobset['metadata']['name']}-{replicated['name']}-0-0.{jobset['metadata']['name']}"
    assert environment["JAX_COORDINATOR_ADDRESS"]["value"].split(":")[0] == host
    assert "JAX_PROCESS_ID" in environment
    [rule] = job["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob" and rule["onExitCodes"]["values"] == [1, 2]


def setup(standins, *arguments, venv, **environment):
    return standins.run("tpu_setup.sh", *arguments, VENV=str(venv), **environment)


def fake_python(folder, version):
    """A Python of that version that makes environments of itself and records what it is asked to do."""
    program = folder / f"python-{version}"
    program.write_text(f'''#!/usr/bin/env bash
case "$1" in
    -c) [[ {version} == 3.12 ]] ;;
    -m) echo "$@" >>"{folder}/steps"
        [[ "$2" != venv ]] || {{ mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; cp "{folder}/jaxtrunc" "$3/bin/jaxtrunc"; }} ;;
esac
''')
    program.chmod(0o755)
    return str(program)


def test_setup_installs_twice_without_harm_and_ends_with_doctor(standins):
    venv = standins.folder / "an environment"
    for _ in range(2):
        done = setup(standins, venv=venv, PYTHON=fake_python(standins.folder, "3.12"))
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == f"ready: {venv}/bin/jaxtrunc"
    steps = (standins.folder / "steps").read_text().splitlines()
    assert [step.split()[1] for step in steps] == ["venv", "pip", "pip"]
    assert steps[1].endswith(f"-c {ROOT}/constraints.txt -e {ROOT}[tpu]")
    assert (venv / "bin/calls.jsonl").read_text() == '["jaxtrunc", "doctor"]\n' * 2


def test_setup_says_what_is_missing(standins):
    venv = standins.folder / "v"
    old = setup(standins, venv=venv, PYTHON=fake_python(standins.folder, "3.8"))
    assert old.returncode == 2 and "Python 3.11 or newer" in old.stderr and old.stderr.count("\n") == 1
    (standins.folder / "answers.json").write_text('[{"words": ["doctor"], "answers": [{"code": 1}]}]')
    python = fake_python(standins.folder, "3.12")
    setup(standins, venv=venv, PYTHON=python)
    shutil.copy(standins.folder / "answers.json", venv / "bin")
    ill = setup(standins, venv=venv, PYTHON=python)
    assert ill.returncode == 1 and "jaxtrunc doctor found something wrong" in ill.stderr


def test_setup_dry_run_does_nothing(standins):
    done = setup(standins, "--dry-run", venv=standins.folder / "v")
    assert done.returncode == 0 and "[tpu]" in done.stdout.replace("\\", "") and "doctor" in done.stdout
    assert not (standins.folder / "v").exists()
