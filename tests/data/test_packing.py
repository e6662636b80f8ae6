"""One shape, every sequence once, and next to no padding."""

import numpy as np
import pytest

from jaxtrunc.data import pack_batches


def random_sequences(count, seed=0, longest=90):
    rng = np.random.default_rng(seed)
    return [rng.integers(1, 500, rng.integers(1, longest)).tolist() for _ in range(count)]


def found_in(batch):
    """Row of the list → tokens, read by `slots` and `ends` alone, after the layout is checked."""
    found = {}
    width = batch.ends.shape[1]
    for slot, row in zip(batch.slots, batch.rows, strict=True):
        line, place = divmod(int(slot), width)
        end = int(batch.ends[line, place])
        if row >= 0:
            mine = np.flatnonzero(batch.segments[line] == batch.segments[line, end])
            assert mine.tolist() == list(range(mine[0], end + 1)), "a sequence lies in one piece that ends at its end"
            found[int(row)] = batch.tokens[line, mine].tolist()
    return found


@pytest.mark.parametrize(("count", "devices"), [(1, 1), (7, 1), (32, 4), (333, 1), (333, 8)])
def test_every_sequence_comes_back_once(count, devices):
    sequences = random_sequences(count)
    batches = pack_batches(sequences, 16, devices)
    shapes = {tuple(array.shape for array in vars(batch).values()) for batch in batches}
    assert len(shapes) == 1 and len(batches) == -(-count // 16) and batches[0].tokens.shape[0] % devices == 0
    assert all(array.dtype == np.int32 for batch in batches for array in vars(batch).values())
    found = [found_in(batch) for batch in batches]
    assert all(len(rows) <= 16 for rows in found)
    assert sum(map(len, found)) == count and {k: v for rows in found for k, v in rows.items()} == dict(enumerate(sequences))
    assert not any(batch.tokens[batch.segments < 0].any() for batch in batches)


def test_little_padding_for_lengths_as_prompts_have_them():
    rng = np.random.default_rng(0)
    for lengths in (rng.integers(10, 41, 16), rng.integers(10, 300, 1000), np.clip(np.exp(rng.normal(4, 0.8, 1000)), 5, 512)):
        batches = pack_batches([[1] * int(length) for length in lengths], 32)
        computed, real = sum(batch.tokens.size for batch in batches), sum((batch.segments >= 0).sum() for batch in batches)
        assert real == lengths.astype(int).sum() and computed < 1.15 * real


def test_rows_stay_short_where_that_is_cheaper():
    """Equal lengths have no padding in any arrangement: each stands alone, and looks at nothing but itself."""
    (batch,) = pack_batches([[1] * 300] * 32, 32)
    assert batch.tokens.shape == (32, 300) and batch.ends.shape == (32, 1)


def test_the_same_lengths_give_the_same_batches():
    first, second = (pack_batches(random_sequences(100), 16) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert all((mine == theirs).all() for mine, theirs in zip(vars(one).values(), vars(other).values(), strict=True))
