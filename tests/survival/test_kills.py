"""kills.py, with few kills in every test run and with twenty in the long one."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from kills import differences, moments

SCRIPT = Path(__file__).parent / "kills.py"


@pytest.mark.parametrize("kills", [pytest.param(5, marks=pytest.mark.slow), pytest.param(20, marks=pytest.mark.slow)])
def test_a_killed_run_ends_like_an_undisturbed_one(kills):
    done = subprocess.run([sys.executable, SCRIPT, "--kills", str(kills), "--seed", str(kills)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 differences" in done.stdout


def test_the_moments_lie_in_all_stages():
    found = moments(20, random.Random(0))
    assert {moment.stage for moment in found} == {"fine-tuning", "decomposition", "sweep", "report", "export"}
    assert len(found) == 20


def test_the_comparison_would_see_a_difference():
    assert differences({"a": [1.0, {"b": "x"}]}, {"a": [1.0 + 1e-7, {"b": "x"}]}) == []
    assert len(differences({"a": [1.0, {"b": "x"}]}, {"a": [1.0 + 1e-5, {"b": "y"}]})) == 2
    assert differences({"a": 1}, {"b": 1}) and differences([1], [1, 2]) and differences(None, 0.0)
