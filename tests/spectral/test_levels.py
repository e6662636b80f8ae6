"""Which levels a sweep visits."""

import numpy as np
import pytest
from matrices import decomposed, gaussian

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral import OPERATORS, Level, plan_levels

UPDATES = {"a/kernel": gaussian(60, 48), "b/kernel": gaussian(90, 20, 1)}
DECOMPOSITION = decomposed({path: np.zeros_like(leaf) for path, leaf in UPDATES.items()}, UPDATES)


def test_the_default_grid_doubles_from_nothing_to_full():
    levels = plan_levels(DECOMPOSITION, ["top_k"])
    assert [level.k for level in levels] == [0, 1, 2, 4, 8, 16, 32, 48]
    assert all(level == Level("top_k", k=level.k) for level in levels)


def test_given_ranks_and_seeds_are_taken_as_given():
    assert [level.k for level in plan_levels(DECOMPOSITION, ["top_k"], [0, 16, 5, 5])] == [0, 5, 16]
    drawn = plan_levels(DECOMPOSITION, ["random_k"], [3, 9], seeds=(4, 1))
    assert {(level.k, level.seed) for level in drawn} == {(3, 1), (3, 4), (9, 1), (9, 4)}
    assert {level.seed for level in plan_levels(DECOMPOSITION, ["random_k"], [3])} == {0, 1, 2, 3, 4}


def test_interpolation_has_its_alphas_and_one_matched_point_per_k():
    levels = plan_levels(DECOMPOSITION, ["interpolate"], [4, 8], alphas=(0.25, 0.5))
    assert levels == [Level("interpolate", param=0.25), Level("interpolate", param=0.5),
                      Level("interpolate", k=4, norm_matched=True), Level("interpolate", k=8, norm_matched=True)]


def test_matching_adds_a_level_for_every_control_and_none_for_top_k():
    levels = plan_levels(DECOMPOSITION, ["top_k", "bottom_k", "drop_top_k"], [4], match_norm=True)
    assert {(level.operator, level.norm_matched) for level in levels} == {
        ("top_k", False), ("bottom_k", False), ("bottom_k", True), ("drop_top_k", False), ("drop_top_k", True)}


def test_fractions_and_operators_with_a_parameter():
    assert [level.param for level in plan_levels(DECOMPOSITION, ["top_k"], fractions=(0.5, 0.1))] == [0.1, 0.5]
    assert [level.param for level in plan_levels(DECOMPOSITION, ["energy"], fractions=(0.9,))] == [0.9]
    assert plan_levels(DECOMPOSITION, ["mp_edge", "dg_hard"]) == [Level("mp_edge"), Level("dg_hard")]


def test_no_level_comes_twice():
    levels = plan_levels(DECOMPOSITION, [*OPERATORS, "top_k"], match_norm=True)
    assert len(levels) == len(set(levels))


@pytest.mark.parametrize(("operators", "options", "words"), [
    (["topk"], {}, "top_k"), (["top_k"], {"ranks": [-1]}, "at least 0"), (["top_k"], {"fractions": [1.5]}, r"\[0, 1\]"),
    (["interpolate"], {"alphas": [2.0]}, r"\[0, 1\]"), (["top_k"], {"scope": "globl"}, "global"),
    (["random_k"], {"scope": "global"}, "scope")])
def test_a_plan_that_makes_no_sense_is_refused(operators, options, words):
    with pytest.raises(InputError, match=words):
        plan_levels(DECOMPOSITION, operators, **options)
