"""The flags of `sweep` reach its settings, and are refused by their names."""

import dataclasses

import pytest

from jaxtrunc.config import SweepSettings

GIVEN = {"operators": ("top_k",), "ranks": (1, 4), "fractions": (0.5,), "alphas": (0.2,), "seeds": (3,), "match_norm": True,
         "residual": "base", "tolerance_pp": 5.0, "split": "dev", "limit": 7, "batch_size": 3, "dtype": "bfloat16",
         "exact_every": 3, "log_samples": True}


def typed(name, value):
    """One setting as it is typed."""
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [flag]
    return [flag, ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]


def test_every_setting_has_its_flag(jaxtrunc, monkeypatch):
    taken = []
    monkeypatch.setattr("jaxtrunc.recipes.sweep.sweep", lambda path, task, settings, resume: taken.append(settings))
    flags = [word for name, value in GIVEN.items() for word in typed(name, value)]
    assert jaxtrunc("sweep", "run", "--task", "task.yaml", *flags)[0] == 0
    assert jaxtrunc("sweep", "run", "--task", "task.yaml")[0] == 0
    assert dataclasses.asdict(taken[0]) == GIVEN and taken[1] == SweepSettings()


@pytest.mark.parametrize("value", ["-1", "101", "nan"])
def test_a_tolerance_out_of_range_is_refused(refused, tmp_path, value):
    refused("sweep", tmp_path, "--task", "task.yaml", "--tolerance-pp", value, words=("--tolerance-pp", "0 to 100"))
