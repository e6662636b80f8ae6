"""Decoupling, specificity and matched accuracy on records with known accuracy and gap."""

import numpy as np
import pytest
from toy_splits import make_truth, predict, record

from jaxtrunc.evals import Statistics
from jaxtrunc.evals.curves import Curves, matched

TRUTH = make_truth(1000)
STATISTICS = Statistics(TRUTH, draws=500)
VALIDATION = Statistics(make_truth(1000, split="validation").without_groups(), draws=500)


def rates(accuracy, gap):
    """Cells of that balanced accuracy and that gap."""
    return (accuracy + gap / 2, accuracy - gap / 2, accuracy - gap / 2, accuracy + gap / 2)


def made(operator, accuracy, gap, statistics=STATISTICS, **level):
    return record(statistics, operator, predict(TRUTH, rates(accuracy, gap)), **level)


ENDS = [made("ft", 0.8, 0.3), made("base", 0.6, 0.1)]
TOP = [made("top_k", a, g, k=k) for a, g, k in ((0.7, 0.1, 1), (0.75, 0.15, 4), (0.8, 0.2, 8), (0.8, 0.3, 64))]
RETAINED = [0.5 - 0, 0.75 - 0.25, 1 - 0.5]


def test_decoupling_is_the_mean_over_the_grid_below_full():
    track = Curves(STATISTICS, ENDS + TOP).decoupling("top_k", [(1, None), (4, None), (8, None)])
    assert track.entry()["value"] == pytest.approx(np.mean(RETAINED))
    low, high = track.entry()["interval"]
    assert 0 < low < np.mean(RETAINED) < high < 1


@pytest.mark.parametrize("ks", [(1, 10, 100), (3, 9, 27), (1, 4, 16)])
def test_the_points_are_the_ranks_that_were_given(ks):
    levels = [made("top_k", 0.7, 0.2, k=k) for k in ks]
    assert Curves(STATISTICS, ENDS + levels).grid("top_k", full_rank=128) == [(k, None) for k in ks]


def test_points_that_cut_all_or_nothing_and_fractions_do_not_count():
    extra = [made("top_k", 0.6, 0.1, k=0), made("top_k", 0.8, 0.3, k=20), made("top_k", 0.7, 0.2, param=0.5)]
    assert Curves(STATISTICS, ENDS + TOP + extra).grid("top_k", full_rank=20) == [(1, None), (4, None), (8, None)]
    line = Curves(STATISTICS, [*ENDS, made("interpolate", 0.7, 0.2, param=0.5)])
    assert line.grid("interpolate", 64) == [] and line.decoupling("interpolate", []) is None


def test_decoupling_is_null_where_fine_tuning_moved_neither():
    for base in (made("base", 0.795, 0.1), made("base", 0.6, 0.29)):
        assert Curves(STATISTICS, [ENDS[0], base, *TOP]).decoupling("top_k", [(1, None)]) is None


@pytest.mark.parametrize(("seeds", "has_interval"), [(4, False), (5, True)])
def test_seeds_are_averaged_and_few_give_no_interval(seeds, has_interval):
    drawn = [made("random_k", 0.7 + 0.01 * s, 0.2, k=4) | {"seed": s} for s in range(seeds)]
    curves = Curves(STATISTICS, ENDS + drawn)
    track = curves.accuracy("random_k", (4, None))
    assert track.rows[0] == pytest.approx(0.7 + 0.01 * (seeds - 1) / 2)
    assert (curves.decoupling("random_k", [(4, None)]).entry()["interval"] is not None) is has_interval


def test_seeds_add_to_the_spread():
    def spread(accuracies):
        drawn = [made("random_k", accuracy, 0.2, k=4) | {"seed": s} for s, accuracy in enumerate(accuracies)]
        return Curves(STATISTICS, drawn + ENDS).accuracy("random_k", (4, None)).rows[1:].std()

    assert spread([0.5, 0.6, 0.7, 0.8, 0.9]) > 3 * spread([0.7] * 5)


def test_only_seeds_that_every_point_has_are_used():
    drawn = [made("random_k", 0.7, 0.2, k=k) | {"seed": s} for k, s in ((4, 0), (4, 1), (8, 0))]
    curves = Curves(STATISTICS, ENDS + drawn)
    assert curves._columns["random_k"].keys() == {(4, None), (8, None)}
    assert all(list(seeds) == [0] for seeds in curves._columns["random_k"].values())


def validation_curve(*accuracies):
    return Curves(VALIDATION, [made("interpolate", a, 0.0, VALIDATION, param=p) for p, a in accuracies])


def test_matched_accuracy():
    curves = validation_curve((0.2, 0.60), (0.4, 0.70), (0.6, 0.78), (0.8, 0.90))
    points = curves.points("interpolate")
    assert matched(curves, "interpolate", 0.705, points) == {(None, 0.4): 1.0}
    mix = matched(curves, "interpolate", 0.72, points)
    assert mix == {(None, 0.4): pytest.approx(0.75), (None, 0.6): pytest.approx(0.25)}
    assert matched(curves, "interpolate", 0.95, points) is None and matched(curves, "bottom_k", 0.7, points) is None
    assert matched(curves, "interpolate", 0.72, points[:1]) is None, "what was not evaluated on the test split is no setting"


def test_the_ends_of_a_curve_bracket():
    ends = [made("ft", 0.95, 0.0, VALIDATION), made("base", 0.5, 0.0, VALIDATION)]
    curves = Curves(VALIDATION, [*ends, made("interpolate", 0.8, 0.0, VALIDATION, param=0.5)])
    mix = matched(curves, "interpolate", 0.9, curves.points("interpolate"))
    assert mix == {(None, 0.5): pytest.approx(1 / 3), (None, 1.0): pytest.approx(2 / 3)}
    assert matched(curves, "interpolate", 0.945, curves.points("interpolate")) is not None
    assert curves.accuracy("interpolate", (None, 1.0)).rows[0] == pytest.approx(0.95)


def test_norm_matched_curves_are_apart():
    both = [made("bottom_k", 0.7, 0.2, k=4), made("bottom_k", 0.6, 0.2, k=4, norm_matched=True)]
    assert Curves(STATISTICS, ENDS + both).names == ["bottom_k", "norm-matched bottom_k"]
