"""The merges of mergekit 0.1.5: as it did them once (golden_by_mergekit.py), and anew where it is installed."""

from pathlib import Path

import numpy as np
import pytest
from golden_by_mergekit import by_mergekit
from golden_cases import CASES, write_config
from tiny_models import tensors_of

GOLDEN = Path(__file__).parent / "golden"


def assert_same(found, expected):
    """Within 1e-6 of the size of the weights, and of one."""
    assert set(found) == {name for name in expected if name != "lm_head.weight"}
    for name, array in found.items():
        bound = 1e-6 * max(np.abs(expected[name]).max(), 1)
        assert np.abs(array - expected[name]).max() <= bound, name


@pytest.mark.parametrize("case", CASES)
def test_what_mergekit_gave(case, models, merged, tmp_path):
    code, said = merged(write_config(tmp_path / "config.yaml", case, models), "--out-path", tmp_path / "out")
    assert code == 0, said
    with np.load(GOLDEN / f"{case}.npz") as expected:
        assert_same(tensors_of(tmp_path / "out"), dict(expected))


@pytest.mark.slow
@pytest.mark.parametrize("case", ["linear", "ties", "dare_ties"])
def test_one_file_for_both_programs(case, models, merged, tmp_path):
    pytest.importorskip("mergekit", reason="mergekit is not installed (extra `parity`)")
    file = write_config(tmp_path / "config.yaml", case, models)
    by_mergekit(file, tmp_path / "theirs")
    assert merged(file, "--out-path", tmp_path / "ours")[0] == 0
    assert_same(tensors_of(tmp_path / "ours"), tensors_of(tmp_path / "theirs"))
