"""Documents cut into pieces: nothing is lost, nothing is joined, and the stream goes on from where it was."""

import numpy as np
import pytest

from jaxtrunc.core.errors import InputError
from jaxtrunc.data.pieces import PieceStream, cut
from jaxtrunc.demo import ASSETS
from jaxtrunc.models import load_tokenizer

TEXTS = ["The camera was good and the lens was clear. " * 5, "A short one.", "", "Why?"]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(ASSETS / "model")


def test_the_pieces_of_a_document_are_the_document(tokenizer):
    pieces = cut(TEXTS, tokenizer, 16)
    assert max(map(len, pieces)) == 16 and min(map(len, pieces)) > 1
    first = tokenizer.encode(TEXTS[0], add_special_tokens=False)
    whole = [token for piece in pieces[: -(-len(first) // 16)] for token in piece]
    assert whole == first[: len(whole)] and len(first) - len(whole) <= 1
    assert tokenizer.decode(pieces[-1]) == "Why?" and len(pieces) == -(-len(first) // 16) + 2


def test_every_piece_begins_as_the_tokenizer_begins_a_text(shared_data):
    llama = load_tokenizer(shared_data / "tokenizers/llama3")
    pieces = cut(TEXTS, llama, 16)
    assert all(piece[0] == llama.bos_token_id and len(piece) > 2 for piece in pieces)


def test_rows_lengths_and_targets(tokenizer):
    pieces = cut(TEXTS, tokenizer, 16)
    stream = PieceStream(pieces, 16, 4, seed=1)
    seen = []
    for _ in range(stream.batches_per_epoch):
        batch = next(stream)
        assert batch.tokens.shape == (4, 16)
        for i, name in enumerate(batch.ids):
            row = batch.tokens[i, : batch.lengths[i]].tolist()
            assert row == pieces[int(name.split("-")[1])]
            assert [target for target in batch.targets[i] if target >= 0] == row[1:]
            seen.append(name)
        assert (batch.lengths[len(batch.ids):] == 1).all() and (batch.targets[len(batch.ids):] == -1).all()
    assert sorted(seen) == sorted(f"piece-{i}" for i in range(len(pieces)))


def test_it_goes_on_from_where_it_was(tokenizer):
    pieces = cut(TEXTS * 4, tokenizer, 16)
    whole, again = (PieceStream(pieces, 16, 2, seed=3) for _ in range(2))
    batches = [next(whole) for _ in range(2 * whole.batches_per_epoch)]
    again.restore(len(batches) - 3)
    for batch in batches[-3:]:
        np.testing.assert_array_equal(next(again).tokens, batch.tokens)


def test_text_without_two_tokens_is_refused(tokenizer):
    with pytest.raises(InputError, match="no document"):
        PieceStream(cut(["", "a"], tokenizer, 16), 16, 2, 0)
