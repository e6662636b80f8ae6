"""Categories by round trip, on small tokenizers made for it and on real ones."""

from collections import Counter

import pytest
from small_tokenizers import byte_level, loaded, sentencepiece

from jaxtrunc.lens.categories import token_categories
from jaxtrunc.lens.pieces import raw_pieces


def by_piece(tokenizer, extra: int = 0) -> dict[str | int, str]:
    pieces = raw_pieces(tokenizer)
    found = token_categories(tokenizer, len(pieces) + extra)
    return dict(zip([*pieces, *range(extra)], found, strict=True))


def test_byte_level_categories():
    tokenizer = byte_level("he", "hel", "æľ", "[unused12]", merges=(("h", "e"), ("æ", "ľ")))
    found = by_piece(tokenizer, extra=2)
    assert found["he"] == found["a"] == found["Ċ"] == "ok"
    assert found["hel"] == "unreachable"
    assert found["æ"] == found["ł"] == found["À"] == "byte"
    assert found["æľ"] == "undecodable"
    assert found["<|end|>"] == "special" and found["<tool>"] == "ok"
    assert found["<|reserved_special_token_7|>"] == found["[unused12]"] == "unused"
    assert found[0] == found[1] == "padding"


def test_sentencepiece_categories():
    """A piece that no word begins with comes back only within a text: it is not unreachable for that."""
    found = by_piece(sentencepiece("▁", "a", "b", "c", "▁a", "ab", "cab"))
    assert found["a"] == found["▁a"] == found["ab"] == found["▁"] == "ok"
    assert found["<0x0A>"] == found["<0xFF>"] == "byte"
    assert found["<s>"] == "special" and found["<unused3>"] == "unused"


def test_a_piece_that_its_merges_pass_by_is_unreachable():
    found = by_piece(byte_level("ab", "bc", "abc", merges=(("a", "b"), ("b", "c"), ("a", "bc"))))
    assert found["ab"] == found["bc"] == "ok" and found["abc"] == "unreachable"


def test_fewer_rows_than_tokens():
    assert token_categories(byte_level(), 3) == ["ok"] * 3


@pytest.mark.parametrize(("folder", "counts"), [
    ("tokenizers/gpt2", {"special": 1, "byte": 128, "undecodable": 216}),
    ("tokenizers/qwen", {"special": 14, "byte": 128, "undecodable": 1320, "unreachable": 1909}),
    ("tokenizers/llama3", {"special": 5, "unused": 251, "byte": 128, "undecodable": 1224}),
    ("models/stories260k", {"special": 3, "byte": 256}),
], ids=lambda value: value if isinstance(value, str) else "")
def test_real_vocabularies(shared_data, folder, counts):
    """Counts that can be checked by hand: reserved and special tokens by the published lists; Qwen normalises to NFC."""
    tokenizer = loaded(shared_data / folder)
    found = Counter(token_categories(tokenizer, len(tokenizer) + 5))
    assert dict(found) == counts | {"padding": 5, "ok": len(tokenizer) - sum(counts.values())}
