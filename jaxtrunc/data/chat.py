"""How a model reads what a user says, and where its answer begins and ends: everything that hangs on the chat template."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.core.limits import limited
from jaxtrunc.data.sources.reason import reason

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PROBE = "an example"
MARKER = "jaxtruncanswer"
TEMPLATE_SECONDS, TEMPLATE_BYTES = 10, 1 << 28  # for one prompt; it takes under a millisecond
MAX_PROMPT = 1 << 24


class Chat:
    """The chat template of one tokenizer, or the plain form `PROMPT\\nAnswer:` where it has none.

    With a template a prompt is one user message, rendered with the generation prompt and tokenised without adding special tokens;
    without one it is tokenised with special tokens.

    Args:
      rows: of the model's embedding; a token beyond them is refused where it occurs. None: there is no model.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", rows: int | None = None) -> None:
        if not tokenizer.is_fast:
            raise InputError(f"tokenizer {tokenizer.name_or_path}: expected a fast tokenizer (tokenizer.json), found "
                             f"{type(tokenizer).__name__}")
        self.name = tokenizer.name_or_path
        self.tokenizer = tokenizer
        self.has_template = bool(tokenizer.chat_template)
        self._rows = rows

    def prompt(self, content: str) -> str:
        """The string given to the tokenizer for one user message."""
        if not self.has_template:
            return f"{content}\nAnswer:"
        return self._render([{"role": "user", "content": content}], add_generation_prompt=True)

    def tokens(self, strings: Sequence[str], origin: str) -> list[list[int]]:
        """Token ids of prompts; `origin` is the file that messages name."""
        return self._ids(strings, origin, add_special_tokens=not self.has_template)

    def answer_tokens(self, answers: Sequence[str], origin: str) -> list[list[int]]:
        """Token ids of answers as they follow a prompt, without what ends the turn."""
        return self._ids([self.lead + answer.strip() for answer in answers], origin, add_special_tokens=False)

    def cut(self, text: str, limit: int) -> str:
        """`text` up to the end of its `limit`-th token; a character is never cut in two."""
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        offsets = encoded["offset_mapping"]
        return text if len(offsets) <= limit else text[:offsets[limit][0]]

    @cached_property
    def lead(self) -> str:
        """What the template puts between the generation prompt and an answer, such as a space."""
        if not self.has_template:
            return " "
        before, whole = self.prompt(PROBE), self._finished()
        return whole[len(before):whole.rindex(MARKER)] if whole.startswith(before) and MARKER in whole else ""

    def end_of_turn(self, origin: str) -> int:
        """Token that ends the answer: the first that the chat template puts after it, else the end-of-text token."""
        tail = self._finished().rpartition(MARKER)[2] if self.has_template and MARKER in self._finished() else ""
        token = self.tokenizer.encode(tail, add_special_tokens=False)[0] if tail else self.tokenizer.eos_token_id
        if not isinstance(token, int):
            raise InputError(f"tokenizer {self.name}: has neither a chat template that ends a turn nor an end-of-text token")
        self._check_rows(token, origin)
        return token

    def _ids(self, strings: Sequence[str], origin: str, *, add_special_tokens: bool) -> list[list[int]]:
        if not strings:
            return []
        found = self.tokenizer(list(strings), add_special_tokens=add_special_tokens, verbose=False)["input_ids"]
        self._check_rows(max((max(ids, default=0) for ids in found), default=0), origin)
        return found

    def _finished(self) -> str:
        messages = [{"role": "user", "content": PROBE}, {"role": "assistant", "content": MARKER}]
        return self._render(messages, add_generation_prompt=False)

    def _render(self, messages: list[dict[str, str]], add_generation_prompt: bool) -> str:
        try:
            with limited(TEMPLATE_SECONDS, TEMPLATE_BYTES):
                text = str(self.tokenizer.apply_chat_template(messages, tokenize=False,
                                                              add_generation_prompt=add_generation_prompt))
        except Exception as error:  # a template is a program: it may raise anything, or never end
            raise InputError(f"tokenizer {self.name}: the chat template fails ({reason(error)})") from None
        if len(text) > MAX_PROMPT:
            raise InputError(f"tokenizer {self.name}: the chat template makes a prompt of {len(text)} characters")
        return text

    def _check_rows(self, token: int, origin: str) -> None:
        """Another row of the embedding would be taken in silence."""
        if self._rows is not None and token >= self._rows:
            raise InputError(f"tokenizer {self.name}: a prompt of {origin} has the token "
                             f"{shown(self.tokenizer.convert_ids_to_tokens(token))} with the id {token}, but config.json says "
                             f"vocab_size {self._rows}; take tokenizer and model from the same place")
