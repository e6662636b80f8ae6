"""Tokens as they are shown: raw pieces, whatever they hold, in visible characters of one line."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tokenizers import TEXT, byte_level, loaded, sentencepiece

from jaxtrunc.core.errors import InputError
from jaxtrunc.lens.display import read_redactions, redacted, token_texts, visible
from jaxtrunc.lens.pieces import byte_alphabet, piece_texts, raw_pieces

REAL = ("tokenizers/gpt2", "tokenizers/qwen", "tokenizers/llama3", "models/stories260k")
# Lone surrogates too, which Hypothesis leaves out of text unless asked for.
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)


@pytest.fixture(scope="module", params=REAL)
def real(request, shared_data):
    return loaded(shared_data / request.param)


@pytest.mark.parametrize(("text", "shown"), [
    ("the", "the"), (" the", "␠the"), ("   ", "␠␠␠"), ("a b", "a␠b"),
    ("\n", "\\n"), ("\t\r", "\\t\\r"), ("\\n", "\\\\n"), ("\x00", "\\x00"), ("\x7f", "\\x7f"),
    ("\xa0", "\\xa0"), ("\u3000", "\\u3000"), ("\u2028", "\\u2028"), ("\u200b", "\\u200b"), ("\ufeff", "\\ufeff"),
    ("\u202ecod", "\\u202ecod"), ("\u2066", "\\u2066"), ("א", "א"),
    ("\u0301", "◌\u0301"), ("e\u0301", "e\u0301"), (" \u0301", "␠◌\u0301"), ("\n\u0301\u0302", "\\n◌\u0301\u0302"),
    ("\\\u0301", "\\\\◌\u0301"), ("\ud800x", "\\ud800x"), ("a\udfff", "a\\udfff"),
    ("\udce6", "<0xE6>"), ("a\udce6\udc9c\u0301", "a<0xE6><0x9C>◌\u0301"),
    ("␠", "\\u2420"), ("\u3164", "\\u3164"), ("珊\U000e0101", "珊\\U000e0101"), ("❤\ufe0f", "❤\\ufe0f"), ("\ufffd", "\ufffd"),
    ("<script>|`", "<script>|`"), ("", ""),
])
def test_what_is_shown(text, shown):
    assert visible(text) == shown


@settings(deadline=None, derandomize=True, database=None)
@given(ANY_TEXT)
def test_any_text_is_one_line_of_visible_characters(text):
    shown = visible(text)
    shown.encode()
    assert shown.isprintable() and not re.search(r"\s|[\u2066-\u2069\u202a-\u202e]", shown)


def test_the_byte_alphabet_is_that_of_gpt2():
    bytes_to_unicode = pytest.importorskip("transformers.convert_slow_tokenizer").bytes_to_unicode
    assert byte_alphabet() == {character: byte for byte, character in bytes_to_unicode().items()}


def test_byte_level_pieces():
    tokenizer = byte_level("ĠæľªÄŃ", "æľ", "ÄĬ", "漢")
    pieces = raw_pieces(tokenizer)
    assert pieces[256:] == ["ĠæľªÄŃ", "æľ", "ÄĬ", "漢", "<|end|>", "<|reserved_special_token_7|>", "<tool>", "Ġ▁"]
    assert token_texts(tokenizer, len(pieces) + 2)[256:] == [
        "␠未ĭ", "<0xE6><0x9C>", "Ċ", "漢", "<|end|>", "<|reserved_special_token_7|>", "<tool>", "Ġ▁", None, None]
    assert token_texts(tokenizer, 3) == ["!", '"', "#"]


def test_sentencepiece_pieces():
    tokenizer = sentencepiece("▁", "a", "▁a", "Ġ")
    shown = token_texts(tokenizer, len(raw_pieces(tokenizer)))
    assert shown[10] == "<0x0A>" and shown[256:] == ["␠", "a", "␠a", "Ġ", "<s>", "<unused3>", "␠␠␠"]


def test_an_id_without_a_piece():
    tokenizer = byte_level("ab")
    vocabulary = tokenizer.get_vocab()
    tokenizer.get_vocab = lambda: {piece: token for piece, token in vocabulary.items() if token != 256}
    assert raw_pieces(tokenizer)[255:258] == ["Ń", None, "<|end|>"]
    assert token_texts(tokenizer, 258)[256] is None


def test_real_pieces_are_the_bytes_of_the_text(real):
    """The pieces of a text, put together, are the text, byte for byte; `decode` of one piece would lose some."""
    texts = piece_texts(real)
    parts = [texts[token] for token in real(TEXT, add_special_tokens=False)["input_ids"]]
    joined = b"".join(bytes([int(part[3:5], 16)]) if re.fullmatch(r"<0x..>", part) else part.encode("utf-8", "surrogateescape")
                      for part in parts if part is not None)
    assert joined.removeprefix(b" ") == TEXT.encode()


def test_all_of_a_real_vocabulary_can_be_shown_and_told_apart(real):
    shown = token_texts(real, len(real))
    assert None not in shown and len(set(shown)) == len(real)
    assert all(text.isprintable() and " " not in text for text in shown if text)
    " ".join(filter(None, shown)).encode()


@pytest.mark.parametrize(("folder", "token", "shown"), [
    ("tokenizers/gpt2", 262, "␠the"), ("tokenizers/gpt2", 198, "\\n"), ("tokenizers/gpt2", 162, "<0xE6>"),
    ("tokenizers/gpt2", 43453, "␠SolidGoldMagikarp"), ("tokenizers/gpt2", 50256, "<|endoftext|>"),
    ("tokenizers/qwen", 151667, "<think>"), ("tokenizers/qwen", 74813, "\\tpop"),
    ("tokenizers/llama3", 128002, "<|reserved_special_token_0|>"),
    ("models/stories260k", 259, "␠t"), ("models/stories260k", 13, "<0x0A>"), ("models/stories260k", 511, "\\u200a"),
])
def test_known_tokens(shared_data, folder, token, shown):
    assert token_texts(loaded(shared_data / folder), token + 1)[token] == shown


def test_words_are_masked_in_either_case_and_the_longest_first(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("\ufeff  bad word \n\nbad\nB.d\n", encoding="utf-8")
    words = read_redactions(file)
    assert words == ("bad word", "bad", "B.d")
    texts = [visible("a BAD word"), "Badly", "bed", "xb.dx", None]
    assert redacted(texts, words) == ["a␠▇▇▇▇▇▇▇▇", "▇▇▇ly", "bed", "x▇▇▇x", None]
    assert redacted(texts, ()) == texts


@pytest.mark.parametrize("content", [None, "", " \n\n", b"\xff\xfe"])
def test_a_file_without_words_is_refused(tmp_path, content):
    file = tmp_path / "words.txt"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=r"words\.txt"):
        read_redactions(file)
