"""Few shapes, every row once, nothing lost to padding."""

import itertools

import numpy as np
import pytest

from jaxtrunc.data import bucket_batches
from jaxtrunc.data.batching import bucket_widths, plan_batches


def random_sequences(count, seed=0, longest=90):
    rng = np.random.default_rng(seed)
    return [rng.integers(1, 500, rng.integers(1, longest)).tolist() for _ in range(count)]


@pytest.mark.parametrize("count", [1, 7, 32, 333])
def test_every_sequence_comes_back_once(count):
    sequences = random_sequences(count)
    batches = bucket_batches(sequences, 16)
    seen = {}
    for batch in batches:
        assert batch.tokens.dtype == batch.lengths.dtype == batch.rows.dtype == np.int32
        assert batch.tokens.shape[0] == len(batch.lengths) == len(batch.rows) == 16
        for tokens, length, row in zip(batch.tokens, batch.lengths, batch.rows, strict=True):
            assert not tokens[length:].any()
            if row < 0:
                assert length == 1 and not tokens.any()
            else:
                assert row not in seen
                seen[int(row)] = tokens[:length].tolist()
    assert [seen[i] for i in range(count)] == sequences
    assert len({batch.tokens.shape for batch in batches}) <= 6
    assert all(batch.tokens.shape[1] % 8 == 0 for batch in batches)
    assert sum((batch.rows < 0).sum() for batch in batches) < 16, "only the last batch may be short"


def test_widths_are_the_cheapest_choice():
    """Against every possible choice of widths."""
    rng = np.random.default_rng(1)
    for shapes in (1, 2, 3):
        for _ in range(20):
            lengths = rng.integers(1, 80, 30)
            values = sorted({-(-int(n) // 8) * 8 for n in lengths})

            def cost(widths, lengths=lengths):
                return sum(min(w for w in widths if w >= n) for n in lengths)

            best = min(cost((*some, values[-1])) for k in range(shapes) for some in itertools.combinations(values[:-1], k))
            ours = bucket_widths(lengths.tolist(), shapes, 8)
            assert len(ours) <= shapes and ours == sorted(set(ours)) and cost(ours) == best


def test_the_number_of_batches_of_each_width_does_not_depend_on_the_order():
    lengths = [len(s) for s in random_sequences(333)]
    widths = bucket_widths(lengths, 6, 8)
    rng = np.random.default_rng(0)
    plans = [[width for width, _ in plan_batches(lengths, rng.permutation(333), widths, 16)] for _ in range(5)]
    assert all(plan == plans[0] for plan in plans) and len(plans[0]) == -(-333 // 16)
