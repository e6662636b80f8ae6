"""A level rebuilt exactly: what it says of the running sum is true, and the sum goes on as if nothing had been."""

import numpy as np
import pytest
from matrices import NAME, OnZero, distance, gaussian, truth

from jaxtrunc.spectral import Level, distrust, plan_levels, running
from jaxtrunc.spectral.running import RunningSum

UPDATE = gaussian(90, 64)
OPERATORS = ("top_k", "bottom_k", "drop_top_k", "random_k")


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_drift_of_an_honest_sum_is_float32_rounding(operator):
    made = OnZero(UPDATE)
    levels = plan_levels(made.decomposition, [operator], [3, 5, 33, 60], seeds=(0,))
    drifts = [made.rebuild.weights(level, exact=True).drift or 0 for level in levels]
    assert 0 < max(drifts) < 1e-6  # none where it took a single product


def test_the_exact_level_is_the_truth_whatever_the_sum_holds(monkeypatch):
    """A sum that is spoiled on purpose: the drift tells by how much, and the level does not show it."""
    made = OnZero(UPDATE)
    made.rebuild.weights(Level("top_k", k=16))
    real = RunningSum.blocks
    monkeypatch.setattr(RunningSum, "blocks", lambda self, *given: ((rows, block * np.float32(1.001))
                                                                    for rows, block in real(self, *given)))
    found = made.rebuild.weights(Level("top_k", k=20), exact=True)
    assert found.drift == pytest.approx(1e-3, rel=1e-2)
    assert distance(found.leaves[NAME], truth(UPDATE, np.arange(20))) < 1e-6
    assert distance(made.cut("top_k", 20), truth(UPDATE, np.arange(20))) > 1e-4  # so the spoiling is seen where it is not exact


def test_other_levels_keep_their_bits():
    plain, checked = OnZero(UPDATE), OnZero(UPDATE)
    levels = plan_levels(plain.decomposition, OPERATORS, [3, 5, 33, 60], seeds=(0, 1))
    for index, level in enumerate(levels):
        expected = plain.rebuild.weights(level).leaves[NAME]
        found = checked.rebuild.weights(level, exact=index % 3 == 2)
        assert (found.drift is not None) == (index % 3 == 2)
        if index % 3 != 2:
            np.testing.assert_array_equal(found.leaves[NAME], expected)


def test_where_nothing_is_accumulated_there_is_no_drift():
    made = OnZero(UPDATE)
    for level in (Level("top_k", k=0), Level("top_k", k=64), Level("flatten_k", k=6), Level("interpolate", param=0.5)):
        plain = made.rebuild.weights(level).leaves[NAME].copy()
        found = made.rebuild.weights(level, exact=True)
        assert found.drift is None
        np.testing.assert_array_equal(found.leaves[NAME], plain)


def test_a_level_broken_off_in_the_middle_leaves_nothing_behind(monkeypatch):
    """An interruption between two blocks of rows: the sum begins anew."""
    made, other = OnZero(UPDATE), OnZero(UPDATE)
    monkeypatch.setattr(running, "BLOCK", 64 * 10)
    made.rebuild.weights(Level("top_k", k=4))
    real = running._add

    def stopped(block, rows, *more):
        if rows.start == 40:
            raise KeyboardInterrupt
        real(block, rows, *more)

    monkeypatch.setattr(running, "_add", stopped)
    with pytest.raises(KeyboardInterrupt):
        made.rebuild.weights(Level("top_k", k=9))
    monkeypatch.setattr(running, "_add", real)
    for k in (9, 20):
        np.testing.assert_array_equal(made.cut("top_k", k), other.cut("top_k", k))


def test_a_sum_that_drifted_is_distrusted():
    assert distrust(None, None, "float32", 1e-7) == []
    reason, = distrust(None, None, "float32", 1e-4)
    assert "rebuilt exactly" in reason
