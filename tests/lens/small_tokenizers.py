"""Tokenizers of a few tokens, of both kinds, and text in many scripts."""

from functools import cache
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from jaxtrunc.models import load_tokenizer

TEXT = "Zoë said: 你好, мир! \u0928\u092e\u0938\u094d\u0924\u0947 مرحبا 👩‍🚀\r\n\tif x[\\n] == 'a  b':"


def byte_level(*pieces: str, merges: tuple[tuple[str, str], ...] = ()) -> PreTrainedTokenizerBase:
    """The 256 bytes, then `pieces` (those that no merge makes are unreachable), then four added tokens."""
    vocabulary = {piece: token for token, piece in enumerate([*sorted(pre_tokenizers.ByteLevel.alphabet()), *pieces])}
    core = Tokenizer(models.BPE(vocabulary, list(merges)))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return wrapped(core, "<|end|>", "<|reserved_special_token_7|>", plain=("<tool>", "Ġ▁"))


def sentencepiece(*pieces: str) -> PreTrainedTokenizerBase:
    """Byte fallback for every byte, then `pieces`; merged from single characters that stand among them."""
    vocabulary = {piece: token for token, piece in enumerate([*(f"<0x{byte:02X}>" for byte in range(256)), *pieces])}
    merges = [(piece[:cut], piece[cut:]) for piece in pieces for cut in range(1, len(piece))
              if piece[:cut] in vocabulary and piece[cut:] in vocabulary]
    core = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True))
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                      decoders.Strip(" ", 1, 0)])
    return wrapped(core, "<s>", "<unused3>", plain=("▁▁▁",))


def wrapped(core: Tokenizer, *special: str, plain: tuple[str, ...] = ()) -> PreTrainedTokenizerBase:
    core.add_special_tokens([AddedToken(word, special=True) for word in special])
    core.add_tokens([AddedToken(word, special=False, normalized=False) for word in plain])
    return PreTrainedTokenizerFast(tokenizer_object=core)


@cache
def loaded(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a directory, read once for all tests: a large one takes a second."""
    return load_tokenizer(folder)
