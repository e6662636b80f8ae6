"""A tokenizer of one's own: Qwen2's rules for cutting words, byte-level BPE trained on the text of the run."""

from collections.abc import Iterable
from pathlib import Path

from jaxtrunc.core.errors import InputError

# A conversation is <|user|>QUESTION<|endoftext|><|assistant|> ANSWER<|endoftext|>; <|endoftext|> also parts documents.
ROLES = ("<|user|>", "<|assistant|>", "<|system|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + (' ' if message['role'] == 'assistant' else '') }}"
    "{{ message['content'] + '<|endoftext|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
LEAST = 256 + 1 + len(ROLES)


def train_tokenizer(documents: Iterable[str], vocab_size: int, directory: Path) -> None:
    """Train on `documents` and write tokenizer.json and tokenizer_config.json, read by `AutoTokenizer` as a Qwen2's.

    A word keeps the space before it, so that " positive" can be one token; digits stand alone.

    Raises:
      InputError: fewer tokens than bytes and special tokens need.
    """
    from transformers import Qwen2Tokenizer

    if vocab_size < LEAST:
        raise InputError(f"tokenizer: vocab_size must be at least {LEAST}, found {vocab_size}")
    tokenizer = Qwen2Tokenizer().train_new_from_iterator(documents, vocab_size, new_special_tokens=list(ROLES),
                                                         show_progress=False)
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(directory)
