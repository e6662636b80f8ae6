"""Counts and bytes from headers: against published numbers, against eval_shape, and without reading a weight."""

import builtins
import json
import math
from pathlib import Path

import jax
import numpy as np
import pytest
from plan_memory import write_headers

from jaxtrunc.config import DecomposeSettings
from jaxtrunc.core.trees import flatten
from jaxtrunc.models import abstract_params
from jaxtrunc.planning.job import elements, stored_bytes
from jaxtrunc.recipes.plan import What, Where, planned

# Parameter counts as the model cards' safetensors metadata states them.
PUBLISHED = {
    "qwen2.5-0.5b-instruct": 494_032_768, "qwen2.5-1.5b-instruct": 1_543_714_304, "llama-3.2-1b": 1_235_814_400,
    "gemma-2-2b": 2_614_341_888, "gemma-2-9b": 9_241_705_984,
}
ANYWHERE = Where(device_memory="80GiB", host_memory="64GiB")


def plan_of(base: Path, where: Where = ANYWHERE, **what):
    return planned(What(base_model=str(base), **what), where)[0]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameter_counts(name, shared_data, tmp_path):
    config = json.loads((shared_data / "tokenizers/configs" / f"{name}.json").read_text())
    job = plan_of(write_headers(tmp_path / "base", config, 2)).job
    expected = {path: leaf.shape for path, leaf in flatten(abstract_params(job.cfg)).items()}
    assert elements(job.leaves) == PUBLISHED[name] == sum(map(math.prod, expected.values()))
    assert sum(count * math.prod(shape) for shape, count in job.shapes.items()) == PUBLISHED[name]
    assert stored_bytes(job.leaves) == 2 * PUBLISHED[name]


@pytest.mark.parametrize(("fixture", "count"), [("seven_b", 7_615_616_512), ("seventy_b", 70_553_706_496)])
def test_only_headers_are_read(fixture, count, request, monkeypatch):
    base: Path = request.getfixturevalue(fixture)
    files = sorted(base.glob("*.safetensors"))
    assert sum(file.stat().st_size for file in files) > 2 * count
    assert sum(512 * file.stat().st_blocks for file in files) < 2**20  # nearly all of it is a hole
    read = dict.fromkeys(files, 0)
    monkeypatch.setattr("jaxtrunc.core.safetensors.open", lambda file, mode: Counted(file, mode, read), raising=False)
    monkeypatch.setattr("jaxtrunc.core.safetensors.Checkpoint.read", lambda *_: pytest.fail("a weight was read"))
    job = plan_of(base).job
    assert elements(job.leaves) == count
    assert read == {file: 8 + header_length(file) for file in files}


class Counted:
    """A file that counts the bytes read from it."""

    def __init__(self, file, mode, read):
        self._file, self._mode, self._read = Path(file), mode, read

    def __enter__(self):
        self._opened = builtins.open(self._file, self._mode)
        return self

    def __exit__(self, *_):
        self._opened.close()

    def read(self, size):
        got = self._opened.read(size)
        self._read[self._file] += len(got)
        return got


def header_length(file: Path) -> int:
    with open(file, "rb") as opened:
        return int.from_bytes(opened.read(8), "little")


def test_the_selection_follows_the_regexes(half_b):
    every = plan_of(half_b).job.matrices
    assert len(every) == 24 * 7 and sum(matrix.size for matrix in every) == 357_826_560
    some = plan_of(half_b, decompose=DecomposeSettings(include=("mlp",), exclude=("down_proj", r"layers\.0\."))).job.matrices
    assert [matrix.shape for matrix in some] == [(896, 4864)] * 2 * 23


def test_a_pair_counts_both_dtypes_and_no_training(half_b, tmp_path):
    plan = plan_of(half_b, model=str(half_b))
    assert [stage.name for stage in plan.stages] == ["decomposition", "sweep", "export"]
    assert {matrix.stored for matrix in plan.job.matrices} == {2 + 2}
    assert {matrix.stored for matrix in plan_of(half_b).job.matrices} == {2 + 4}  # what fine-tuning writes is float32


def test_disk(half_b):
    finetune, decompose, _, export = plan_of(half_b).stages
    assert export.disk == 2 * 494_032_768
    assert decompose.disk == 24 * 8 * (5 * 896**2 + 2 * 128**2)
    assert finetune.disk == 4 * 494_032_768 + 4 * 12 * 357_826_560


def test_leading_components_take_less_disk(half_b):
    _, decompose, _, _ = plan_of(half_b, decompose=DecomposeSettings(leading=130)).stages
    assert decompose.disk == 24 * 8 * (5 * 896 * 130 + 2 * 128**2)


def test_eval_shape_agrees_with_the_trained_leaves(half_b):
    job = plan_of(half_b).job
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) and leaf.dtype == np.float32 for leaf in job.trained.values())
    assert elements(job.trained) == 357_826_560
