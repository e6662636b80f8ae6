"""docs/merge.md: its flags, methods and keys are the program's, its file is understood, its Python runs."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from jaxtrunc.merge import ALIASES, METHODS, interference
from jaxtrunc.recipes.merge_config import KEYS, OF_A_MODEL, PARAMETERS, MergeFlags, merge_config
from jaxtrunc.verbs.combine import Merge

PAGE = (Path(__file__).parents[2] / "docs" / "merge.md").read_text()
FLAGS, TABLE = (re.findall(r"^\| `(.*)$", part, re.M) for part in re.split("^## ", PAGE, flags=re.M)[1:3])


def test_every_flag_of_the_verb_is_on_the_page():
    usual = {"quiet", "verbose", "debug", "config", "out_path"}
    flags = {field.name.rstrip("_") for field in dataclasses.fields(Merge)} - usual
    assert flags == {re.match(r"--([\w-]+)", row)[1].replace("-", "_") for row in FLAGS}


def test_every_key_of_the_file_is_on_the_page():
    named = {re.findall(r"`(\w+)`", row.split(" | ")[1])[0] for row in FLAGS if "`" in row.split(" | ")[1]}
    assert named | {"parameters", "dtype"} == {*KEYS, *OF_A_MODEL, *PARAMETERS}


def test_every_method_is_on_the_page_with_its_default():
    found = {tuple(re.findall(r"`(\w+)`", f"`{row}".split(" | ")[0])): row.rsplit("|", 2)[1].strip() for row in TABLE}
    shown = {names[0]: {"": None, "true": True, "false": False}[normalize] for names, normalize in found.items()}
    assert shown == {name: method.normalize for name, method in METHODS.items()}
    assert {alias: names[0] for names in found for alias in names[1:]} == ALIASES


def test_the_file_of_the_page(tmp_path):
    file = tmp_path / "merge.yaml"
    file.write_text(re.search(r"```yaml\n(.*?)```", PAGE, re.S)[1])
    config, given = merge_config(file, MergeFlags()), yaml.safe_load(file.read_text())
    assert config.settings.weights == (0.7, 0.4) and config.settings.densities == (0.3, 0.5) and not config.warnings
    assert config.resolved()["parameters"] == given["parameters"] | {"scope": "tensor"} and config.dtype == given["out_dtype"]


def test_the_scale_of_sti():
    """The two columns of few components are measured here; the third takes longer."""
    rng, m, r, sigma = np.random.default_rng(0), 1024, 8, np.linspace(2, 1, 8)
    rows = re.findall(r"^\| (?:unrelated|T times)[^|]*(.*)$", PAGE, re.M)
    unrelated, same = ([float(cell) for cell in row.split("|")[1:3]] for row in rows)
    for column, tasks in enumerate((2, 4)):
        u, v = (np.linalg.qr(rng.standard_normal((tasks, m, r)))[0] for _ in range(2))
        found = interference([(a * sigma) @ b.T for a, b in zip(u, v, strict=True)], r) / sigma.mean()
        assert found == pytest.approx(unrelated[column], rel=0.2)
        found = interference([(u[0] * sigma) @ v[0].T] * tasks, r) / sigma.mean()
        assert found == pytest.approx((tasks - 1) ** 2 / (tasks * r - 1))
        assert found == pytest.approx(same[column], rel=0.03)


def test_the_python_of_the_page():
    rng = np.random.default_rng(0)
    base, one, two = ({"layers": {"up": {"kernel": rng.standard_normal((2, 40, 36))}}} for _ in range(3))
    tau_one, tau_two = (tree["layers"]["up"]["kernel"][0] - base["layers"]["up"]["kernel"][0] for tree in (one, two))
    names = {"base": base, "one": one, "two": two, "one_minus_base": one, "two_minus_base": two, "tau_one": tau_one,
             "tau_two": tau_two}
    exec(compile(re.search(r"```python\n(.*?)```", PAGE, re.S)[1], "merge.md", "exec"), names)
    assert names["params"]["layers"]["up"]["kernel"].shape == (2, 40, 36) and names["overlap"] > 0
    spectrum = np.linalg.svd(names["update"]["layers"]["up"]["kernel"][0], compute_uv=False)
    np.testing.assert_allclose(spectrum, spectrum[0] * (np.arange(36) < 18), atol=1e-4)
