"""What stands in a tokenizer's vocabulary, with the byte alphabet of byte-level BPE undone.

`decode` will not do: it trims spaces and turns a part of a character into U+FFFD.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def raw_pieces(tokenizer: "PreTrainedTokenizerBase") -> list[str | None]:
    """The pieces as they stand in the vocabulary, added tokens included, by token id; None for an id that has none."""
    ids = tokenizer.get_vocab()
    pieces: list[str | None] = [None] * (max(ids.values(), default=-1) + 1)
    for piece, token in ids.items():
        pieces[token] = piece
    return pieces


def piece_texts(tokenizer: "PreTrainedTokenizerBase") -> list[str | None]:
    """The pieces as text, by token id.

    A byte that is part of no character is a surrogate from U+DC80 to U+DCFF (as in PEP 383). Where pieces are not in the byte
    alphabet, ▁ stands for a space. Added tokens of a byte-level tokenizer are text already.
    """
    pieces = raw_pieces(tokenizer)
    if not is_byte_level(tokenizer):
        return [None if piece is None else piece.replace("▁", " ") for piece in pieces]
    byte_of, added = byte_alphabet(), tokenizer.added_tokens_decoder
    return [piece if piece is None or token in added else _unmapped(piece, byte_of) for token, piece in enumerate(pieces)]


def is_byte_level(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether pieces are written in the byte alphabet of GPT-2, as those of Qwen, Llama 3 and GPT-OSS are."""
    backend = getattr(tokenizer, "backend_tokenizer", None)  # a tokenizer written in Python has none
    return backend is not None and backend.decoder is not None and b'"ByteLevel"' in backend.decoder.__getstate__()


def byte_alphabet() -> dict[str, int]:
    """Character → byte: those below U+0100 stand for themselves, the others in their order for the bytes that are left."""
    from tokenizers.pre_tokenizers import ByteLevel

    alphabet = sorted(ByteLevel.alphabet())
    own = {character: ord(character) for character in alphabet if ord(character) < 256}
    left = sorted(set(range(256)) - set(own.values()))
    return own | dict(zip((character for character in alphabet if character not in own), left, strict=True))


def _unmapped(piece: str, byte_of: dict[str, int]) -> str:
    try:
        return bytes([byte_of[character] for character in piece]).decode("utf-8", "surrogateescape")
    except KeyError:  # not in the byte alphabet: no merge made it, so it is text as it stands
        return piece
