"""What kind of thing each row of the head stands for, by the round trip encode(decode(t)) (Land and Bartolo 2024)."""

import re
from typing import TYPE_CHECKING

from jaxtrunc.lens.pieces import is_byte_level, piece_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CATEGORIES = OK, SPECIAL, BYTE, UNUSED, UNDECODABLE, UNREACHABLE, PADDING = (
    "ok", "special", "byte", "unused", "undecodable", "unreachable", "padding")
_BYTE_TOKEN = re.compile(r"<0x[0-9A-Fa-f]{2}>")
_STRAY = re.compile("[\ud800-\udfff]")
# <unused7>, [unused7], <|reserved_special_token_3|>, <|reserved_200001|>, <SPECIAL_12>, <extra_id_5>
_RESERVED = re.compile(r"[<\[]\W*(?:unused|reserved(?:[_ ]special[_ ]token)?|special|extra_id)[\W_]*\d+\W*[>\]]", re.IGNORECASE)
# Before a piece, these make it a piece within a text; alone it would lose or gain a space at its start.
_BEFORE = ("\n", "«", "1")


def token_categories(tokenizer: "PreTrainedTokenizerBase", rows: int) -> list[str]:
    """The category of each token id below `rows`, out of `CATEGORIES`.

    `padding`: the tokenizer has no such id. `unused`: a name such as `<unused7>` or `<|reserved_special_token_3|>`. `special`:
    marked so by the tokenizer. `byte`: a single byte that is no character, or `<0x0A>` of byte fallback. `undecodable`: holds
    a part of a character. `unreachable`: no text gives it, neither its own nor its own after some other. Else `ok`.
    """
    special = set(tokenizer.all_special_ids) | {t for t, piece in tokenizer.added_tokens_decoder.items() if piece.special}
    texts, byte_level = piece_texts(tokenizer)[:rows], is_byte_level(tokenizer)
    texts += [None] * (rows - len(texts))
    found = [_by_its_looks(text, token in special, byte_level) for token, text in enumerate(texts)]
    for token in _unreachable(tokenizer, [token for token, category in enumerate(found) if category == OK]):
        found[token] = UNREACHABLE
    return found


def _by_its_looks(text: str | None, special: bool, byte_level: bool) -> str:
    if text is None:
        return PADDING
    if _RESERVED.fullmatch(text):
        return UNUSED
    if special:
        return SPECIAL
    if _STRAY.search(text):
        return BYTE if len(text) == 1 else UNDECODABLE
    return BYTE if not byte_level and _BYTE_TOKEN.fullmatch(text) else OK


def _unreachable(tokenizer: "PreTrainedTokenizerBase", ids: list[int]) -> list[int]:
    """Those of `ids` whose text is tokenised to something else, both alone and after a few other beginnings."""
    for before in ([], *_encode(tokenizer, _BEFORE)):
        if not ids:  # the tokenizer would take an empty list for one text
            break
        wanted = [[*before, token] for token in ids]
        texts = tokenizer.batch_decode(wanted, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        back = _encode(tokenizer, texts)
        ids = [token for token, one, other in zip(ids, wanted, back, strict=True) if one != other]
    return ids


def _encode(tokenizer: "PreTrainedTokenizerBase", texts) -> list[list[int]]:
    return tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False)["input_ids"]  # type: ignore[return-value]
