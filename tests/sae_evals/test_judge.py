"""Tallies of a judge: what scores give, and which printed figures no scores could have given."""

import itertools

import numpy as np
import pytest

from jaxtrunc.core.errors import InputError
from jaxtrunc.evals.judge import Tally, check_tally, tally


def test_a_tally_by_hand():
    assert tally([1, 1, 2, 3, 5]) == Tally(2.4, 0.6, 0.2)


def test_every_tally_of_real_scores_is_possible():
    for scores in itertools.combinations_with_replacement(range(1, 6), 4):
        check_tally(tally(scores))


def test_every_tally_of_real_scores_is_possible_as_printed():
    rng = np.random.default_rng(0)
    for _ in range(300):
        found = tally(rng.choice(5, size=rng.integers(1, 500), p=rng.dirichlet(np.ones(5) / 3)) + 1)
        check_tally(Tally(round(found.harm, 2), round(found.safe, 3), round(found.high_risk, 3)), printed=True)


def test_the_figures_of_the_specification():
    check_tally(Tally(1.03, 0.992, 0.008), printed=True)
    for impossible in (Tally(1.0, 0.9, 0.1), Tally(3.0, 1.0, 0.0), Tally(2.0, 0.95, 0.10), Tally(1.4, 0.65, 0.40)):
        for printed in (False, True):
            with pytest.raises(InputError, match="tally"):
                check_tally(impossible, printed=printed)


def test_shares_outside_their_range_are_refused():
    with pytest.raises(InputError, match="shares"):
        check_tally(Tally(1.0, 1.2, -0.2))


@pytest.mark.parametrize("score", [0, 6, 2.5, True, "3"])
def test_a_judge_says_one_to_five(score):
    with pytest.raises(InputError, match="judge"):
        tally([1, score])


def test_a_tally_of_nothing_is_refused():
    with pytest.raises(InputError, match="none"):
        tally([])
