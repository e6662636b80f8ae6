"""The shuffled buffer: every activation once, in an order that a resumed run repeats."""

import json

import numpy as np
import pytest

from jaxtrunc.core.errors import InputError, RunFailed
from jaxtrunc.sae.training.buffer import ShuffledBuffer


class Numbered:
    """Rows (i, −i), in chunks of changing size."""

    def __init__(self, sizes=(7, 1, 13, 64), chunks=10**6):
        self.sizes, self.chunks, self.state = sizes, chunks, 0

    def restore(self, state):
        self.state = state

    def __next__(self):
        if self.state == self.chunks:
            raise StopIteration
        rounds, place = divmod(self.state, len(self.sizes))
        start = rounds * sum(self.sizes) + sum(self.sizes[:place])
        rows = np.arange(start, start + self.sizes[place], dtype=np.float32)
        self.state += 1
        return np.stack([rows, -rows], axis=1)


def buffer(source=None, seed=0, batch=3):
    return ShuffledBuffer(source or Numbered(), d=2, batch=batch, batches=100, seed=seed)


def test_each_block_is_a_permutation_of_what_the_source_gave():
    given = buffer()
    for block in range(3):
        batches = [next(given) for _ in range(100)]
        rows = np.concatenate(batches)[:, 0]
        assert all(batch.shape == (3, 2) and batch.dtype == np.float32 for batch in batches)
        assert np.array_equal(np.sort(rows), np.arange(300 * block, 300 * (block + 1)))
        assert np.abs(rows - np.sort(rows)).mean() > 50, "hardly shuffled"


def test_the_order_depends_on_the_seed_alone():
    same, other = next(buffer()), next(buffer(seed=1))
    assert np.array_equal(same, next(buffer())) and not np.array_equal(same, other)


@pytest.mark.parametrize("given", [0, 1, 57, 100, 101, 245, 300])
def test_a_restored_buffer_goes_on_exactly(given):
    first = buffer()
    for _ in range(given):
        next(first)
    state = json.loads(json.dumps(first.state))
    second = buffer()
    for _ in range(7):
        next(second)  # a used buffer can be restored too
    second.restore(state)
    assert second.state == state
    for _ in range(150):
        assert np.array_equal(next(first), next(second))


def test_moments_are_those_of_the_block_at_hand():
    rows = np.arange(300.0)
    mean, square = buffer().moments()
    assert np.allclose(mean, [rows.mean(), -rows.mean()]) and np.isclose(square, 2 * (rows**2).mean())


def test_a_source_that_ends_or_gives_nonsense_is_named():
    with pytest.raises(InputError, match="ended before 100 batches of 3"):
        next(buffer(Numbered(chunks=5)))
    with pytest.raises(InputError, match=r"expected activations \(rows, 3\), found \(7, 2\)"):
        next(ShuffledBuffer(Numbered(), d=3, batch=1, batches=100, seed=0))
    broken = Numbered()
    broken.sizes = (2,)
    broken.__class__ = type("Broken", (Numbered,), {"__next__": lambda self: np.full((2, 2), np.nan)})
    with pytest.raises(RunFailed, match="not finite"):
        next(buffer(broken))
