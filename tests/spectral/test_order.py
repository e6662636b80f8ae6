"""A flat spectrum is told from one with an order, whatever stands below the numerical rank."""

import numpy as np
import pytest

from jaxtrunc.spectral import Spectrum, flat_share


def spectrum(values, rank=None) -> Spectrum:
    s = np.array(values, float)
    return Spectrum("m", (len(s), len(s)), s, len(s) if rank is None else rank, float(np.linalg.norm(s)))


@pytest.mark.parametrize(("values", "rank", "flat"), [
    ([2, 2, 2, 2], 4, True), ([2, 1.99, 1.985, 1.981], 4, True), ([2, 1.99, 1.98, 1.97], 4, False), ([2, 2, 1e-9, 1e-9], 2, True),
    ([2, 1, 1e-9, 1e-9], 2, False),
])
def test_flat_up_to_the_numerical_rank(values, rank, flat):
    assert flat_share([spectrum(values, rank)]) == flat


def test_a_share_of_the_matrices_that_have_something_to_order():
    assert flat_share([spectrum([1, 1]), spectrum([3, 1]), spectrum([5, 1e-9], 1), spectrum([0, 0], 0)]) == 0.5
    assert flat_share([spectrum([5, 1e-9], 1)]) == 0.0
