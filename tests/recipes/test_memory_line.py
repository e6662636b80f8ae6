"""The peak that a verb reports beside the plan's figure."""

import json
import re
import subprocess
import sys

import pytest

from jaxtrunc.config import RunConfig
from jaxtrunc.core import memory
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.recipes import memory as recipe
from jaxtrunc.recipes.memory import tell_memory
from jaxtrunc.recipes.plan import What, Where, planned

GROWING = """
import numpy as np
from jaxtrunc.core.memory import host_peak
before = host_peak()
block = np.ones(2**25)  # 256 MiB
del block
print(host_peak() - before)
"""


def test_the_peak_is_what_was_resident_at_once():
    grown = int(subprocess.run([sys.executable, "-c", GROWING], capture_output=True, text=True, check=True).stdout)
    assert 0.9 * 2**28 < grown < 1.3 * 2**28
    assert memory.device_peak() is None  # CPUs have no memory of their own


@pytest.mark.parametrize("verb", ["decompose", "sweep"])
def test_a_verb_says_its_peak_beside_that_of_the_plan(pair, study, jaxtrunc, tmp_path, verb):
    if verb == "decompose":
        run = tmp_path / "run"
        code, said = jaxtrunc("decompose", "--base-model", pair.base, "--model", pair.ft, "--out-path", run)
        assert code == 0, said
        line = next(line for line in said.splitlines() if line.startswith("memory of decompose: "))
        assert re.fullmatch(r"memory of decompose: \S+ [KMG]iB at most on the host, planned \S+ [KMG]iB", line)
    else:
        run = study
    found = json.loads((run / "manifest.json").read_text())["verbs"][verb]["memory"]
    assert list(found) == ["host"] and found["host"]["measured"] > 2**26
    plan, _ = planned(What(base_model=str(pair.base), model=str(pair.ft), tokens=8), Where())
    stages = {"decompose": "decomposition", "sweep": "sweep"}
    stage = next(stage for stage in plan.stages if stage.name == stages[verb])
    least = stage.host_peak(plan.machine)[0]
    assert least == found["host"]["planned"] if verb == "decompose" else least <= found["host"]["planned"] < 3 * least


def test_devices_and_what_cannot_be_planned(pair, tmp_path, monkeypatch, capsys):
    run = RunDir(tmp_path)
    (tmp_path / "manifest.json").write_text('{"schema_version": 1, "verbs": {}, "files": {}}')
    monkeypatch.setattr(memory, "device_peak", lambda: 3 * 2**30)
    tell_memory(run, "decompose", RunConfig("x", str(pair.base), {}, str(pair.ft)), tmp_path)
    assert "at most on the host, planned" in (said := capsys.readouterr().err) and "3.00 GiB at most on a device, planned" in said

    def refuse(*_):
        raise InputError("the device does not tell its memory")

    monkeypatch.setattr(recipe, "planned_config", refuse)
    tell_memory(run, "sweep", RunConfig("x", str(pair.base), {}, str(pair.ft)), tmp_path)
    assert capsys.readouterr().err.endswith("3.00 GiB at most on a device, not planned\n")
    noted = json.loads((tmp_path / "manifest.json").read_text())["verbs"]["sweep"]["memory"]
    assert noted["device"] == {"measured": 3 * 2**30, "planned": None}
