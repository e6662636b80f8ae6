"""Activating contexts and their classes, against a search through all activations; places that count."""

import jax
import numpy as np
import pytest

from jaxtrunc.data.conversations import Conversation
from jaxtrunc.demo import ASSETS
from jaxtrunc.recipes.sae.base import open_base
from jaxtrunc.recipes.sae.contexts import Contexts, highest
from jaxtrunc.recipes.sae.pairs import PairBatch, Pairs


@pytest.fixture(scope="module")
def base():
    return open_base(str(ASSETS / "model"))


def batch_of(rng, rows, width=7):
    tokens = rng.integers(5, 90, (len(rows) + 1, width)).astype(np.int32)  # the last is a filler
    mask = rng.random(tokens.shape) < 0.6
    mask[-1] = False
    aligned = np.append(rng.random(len(rows)) < 0.5, False)
    return PairBatch(tokens, np.full(len(tokens), width, np.int32), np.array(rows), mask, aligned)


def test_contexts_are_the_largest_of_all_batches(rng):
    n, count, every = 5, 3, []
    kept = Contexts(n, count)
    for rows in ([4, 2, 0], [1, 3, 5]):
        batch = batch_of(rng, rows)
        activations = np.maximum(rng.standard_normal((*batch.tokens.shape, n)), 0).astype(np.float32)
        kept.add(*jax.tree.map(np.asarray, highest(activations, batch.mask, batch.aligned, count)), batch)
        every += [(bool(batch.aligned[b]), feature, -float(activations[b, t, feature]), rows[b], t)
                  for b in range(len(rows)) for t in range(7) for feature in range(n) if batch.mask[b, t]]

    class Words:
        def decode(self, ids):
            return " ".join(map(str, ids))

    sequences = [[100 * row + place for place in range(7)] for row in range(6)]
    for feature in range(n):
        found = kept.of(feature, sequences, Words())
        for name, side in (("aligned", True), ("unaligned", False)):
            wanted = sorted(entry[2:] for entry in every if entry[:2] == (side, feature) and entry[2] < 0)[:count]
            assert [(-c["value"], c["row"], int(c["token"]) % 100) for c in found[name]] == wanted
            for context in found[name]:
                place = int(context["token"]) % 100
                assert context["before"].split() == [str(100 * context["row"] + p) for p in range(place)][-8:]


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_only_response_tokens_that_are_not_special_count(base):
    rows = [Conversation("0", "Was it good?", "It was very good.", True), Conversation("1", "Was it?", "No.", False),
            Conversation("2", "And the film?", "It was fine.", True)]
    pairs = Pairs(base, rows, "rows", 60, 2)
    decode, seen = base.chat.tokenizer.decode, {}
    for batch in pairs:
        for b, row in enumerate(batch.rows):
            seen[int(row)] = decode(batch.tokens[b][batch.mask[b]])
            assert batch.aligned[b] == rows[row].aligned
        assert not batch.mask[len(batch.rows):].any()
    assert {row: text.strip() for row, text in seen.items()} == {i: row.response for i, row in enumerate(rows)}
    assert sorted(pairs.labels) == [False, True, True]


def test_first_padding_and_special_tokens_never_count(base):
    special = int(np.flatnonzero(base.special)[0])
    plain = [token for token in range(300, 306) if not base.special[token]]
    tokens = np.array([[plain[0], plain[1], special, plain[2], 0, 0]])
    assert base.counts(tokens, np.array([4]))[0].tolist() == [False, True, False, True, False, False]
