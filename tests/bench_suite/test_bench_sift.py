"""The script that measures SIFT's step, with tiny shapes: the layers that should fire do."""

import pytest
import sift


@pytest.mark.slow
def test_one_layer_of_five_fires():
    report = sift.measure(True)
    fired = {row.name: row.facts["matrices that fired"] for row in report.comparisons[0].rows if row.facts}
    assert fired == {sift.OPEN: 2, sift.CLOSED: 0, sift.ALWAYS: 2 * sift.LAYERS, sift.FULL: 2}
    assert report.measured["sift_step"] > 0


def test_the_layers_that_conflict_are_the_first():
    f, g = sift.gradients({"w": (sift.LAYERS, 16, 48)})
    cosines = (f["w"] * g["w"]).sum((1, 2))
    assert cosines[0] < 0 and (cosines[1:] > 0).all()
