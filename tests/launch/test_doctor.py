"""`jaxtrunc doctor`: right on a healthy machine, and a remedy for each thing that is made wrong here."""

import importlib.metadata
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from jaxtrunc.core.errors import RunFailed
from jaxtrunc.recipes.checks import hardware, numerics, software
from jaxtrunc.recipes.doctor import doctor
from jaxtrunc.spectral.backends import BACKENDS

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory of its own, and no settings of this machine."""
    jax.devices()  # which read XLA_FLAGS only once
    monkeypatch.chdir(tmp_path)
    for name in software.SETTINGS:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def ill(capsys):
    """The report of a doctor that finds something wrong."""
    with pytest.raises(RunFailed, match="doctor: "):
        doctor()
    return capsys.readouterr().out


def test_a_healthy_machine(here, capsys, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["numpy>=2", "torch>=9; extra == 'parity'"])
    doctor()
    out = capsys.readouterr().out
    for words in ("0 of 1", f"process 0: {jax.device_count()} × cpu", "GiB", "right, over 8", "written, renamed", "float64",
                  *(f"decomposition, {name}" for name in BACKENDS)):
        assert words in out
    assert out.endswith("nothing is wrong\n") and "torch" not in out
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("backend", list(BACKENDS))
def test_a_wrong_backend_is_found(here, capsys, monkeypatch, backend):
    right = numerics.spectral.decompose

    def wrong(*given, backend: str, **more):
        found = right(*given, backend=backend, **more)
        if backend == sick:
            for svd in found.matrices.values():
                svd.s[0] *= 1.01
        return found

    sick = backend
    monkeypatch.setattr(numerics.spectral, "decompose", wrong)
    out = ill(capsys)
    assert f"wrong: decomposition, {backend}: error of a singular value 1e-02" in out and "another --backend" in out
    assert out.count("wrong: ") == 1


def test_a_backend_that_fails_is_found(here, capsys, monkeypatch):
    def broken(*_given, **_more):
        raise RuntimeError("no solver")

    monkeypatch.setattr(numerics.spectral, "decompose", broken)
    assert ill(capsys).count("RuntimeError: no solver. Use another --backend") == len(BACKENDS)


@pytest.mark.parametrize(("bits", "name"), [(7, "bf16"), (10, "TF32")])
def test_inexact_products_are_found_and_named(here, capsys, monkeypatch, bits, name):
    def rounded(x):
        return (((x.view(np.uint32) + (1 << (22 - bits))) >> (23 - bits)) << (23 - bits)).view(np.float32)

    dot = numerics.jnp.dot
    monkeypatch.setattr(numerics.jnp, "dot", lambda x, y: dot(*map(rounded, (x, y)) if x.dtype == np.float32 else (x, y)))
    out = ill(capsys)
    [line] = [line for line in out.splitlines() if line.startswith("wrong: ")]
    assert "product, highest" in line and name in line and "unset XLA_FLAGS" in line


def test_devices_that_do_not_add_up_are_found(here, capsys, monkeypatch):
    monkeypatch.setattr(hardware, "sum_over_devices", lambda: 35)
    assert "wrong: sum over devices: 35 and not 36. The devices do not work together" in ill(capsys)


def test_a_directory_without_rename_is_found(here, capsys, monkeypatch):
    def refuse(*_given):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(software.Path, "rename", refuse)
    assert "Permission denied. Start in a directory that you may write to" in ill(capsys)
    assert list(here.iterdir()) == []


def test_missing_and_untested_packages(here, capsys, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["jax<0.5", "no-such-package>=3"])
    out = ill(capsys)
    assert "wrong: no-such-package: missing. Run: pip install 'no-such-package>=3'." in out
    assert f"advice: jax: {jax.__version__}, outside the supported <0.5" in out


def test_advice_alone_is_no_fault(here, capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("JAX_ENABLE_X64", "1")
    monkeypatch.setattr(hardware, "SMALL_HOST", 2**60)
    monkeypatch.setattr(software, "LITTLE_DISK", 2**80)
    monkeypatch.setattr(hardware.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: None)
    doctor()
    advice = [line.split(":")[1].strip() for line in capsys.readouterr().out.splitlines() if line.startswith("advice: ")]
    assert sorted(advice) == ["JAX_ENABLE_X64", "OMP_NUM_THREADS", "backend", "disk", "host memory"]


@pytest.mark.parametrize("folders", ["own", pytest.param("same", marks=pytest.mark.slow)])
def test_two_processes_one_table(tmp_path, folders):
    """The real program twice, in one directory or each in its own."""
    program = "import os, sys; os.makedirs(sys.argv[1], exist_ok=True); os.chdir(sys.argv[1]); " \
              "from jaxtrunc.cli import main; main(['doctor'])"
    command = f'exec {sys.executable} -c "$1" "$2/$(({"0" if folders == "same" else "JAX_PROCESS_ID"}))"'
    launcher = ["bash", f"{ROOT}/launch/local.sh", "--processes", "2", "--devices", "2", "--"]
    done = subprocess.run([*launcher, "bash", "-c", command, "-", program, str(tmp_path)], timeout=120, check=False,
                          capture_output=True, text=True, env={**os.environ, "XLA_FLAGS": "", "PYTHONPATH": ROOT})
    assert done.returncode == 0, done.stderr[-2000:]
    table = [line for line in done.stdout.splitlines() if line.startswith("[0] ")]
    assert any("right, over 4" in line for line in table) and any("0 of 2" in line for line in table)
    assert not any(line.startswith("[1] ") and "│" in line for line in done.stdout.splitlines())
    assert ("every process sees" in done.stdout) == (folders == "same")
    assert ("advice: process 0, shared directory" in done.stdout) == (folders == "own")
