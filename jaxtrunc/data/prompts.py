"""Prompts, label words and what a model is trained to answer: everything that depends on the tokenizer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.core.limits import limited
from jaxtrunc.data.examples import Example, TrainExample
from jaxtrunc.data.sources.reason import reason
from jaxtrunc.data.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PROBE = "an example"
TEMPLATE_SECONDS, TEMPLATE_BYTES = 10, 1 << 28  # for one prompt; it takes under a millisecond
MAX_PROMPT = 1 << 24


@dataclass(frozen=True)
class Encoded:
    """A prompt as a string and as the token ids that the model sees."""

    id: str
    prompt: str
    input_ids: list[int]


class Prompter:
    """Turns examples into prompts for one tokenizer; the label words are checked when it is made.

    With a chat template the filled prompt is the content of one user message, rendered with the generation prompt and
    tokenised without adding special tokens; without one it is `PROMPT\\nAnswer:`, tokenised with special tokens.

    Args:
      rows: of the model's embedding; a token beyond them is refused where it occurs. None: there is no model.

    Raises:
      InputError: label words that are not single, distinct tokens right after the prompt (scoring: verbalizer), or that
        change the prompt's own tokens.
    """

    def __init__(self, task: Task, tokenizer: "PreTrainedTokenizerBase", rows: int | None = None) -> None:
        if not tokenizer.is_fast:
            raise InputError(f"tokenizer {tokenizer.name_or_path}: expected a fast tokenizer (tokenizer.json), found "
                             f"{type(tokenizer).__name__}")
        self._name = tokenizer.name_or_path
        self._rows = rows
        self.task = task
        self.tokenizer = tokenizer
        self.has_template = bool(tokenizer.chat_template)
        self.continuations = self._continuations()
        if task.scoring == "verbalizer":
            self._check_single()

    def prompt(self, example: Example | TrainExample) -> str:
        """The string given to the tokenizer."""
        lines = (f"{name}: {self._cut(text)}" for name, text in example.fields.items())
        return self._frame("\n".join(lines))

    def encode(self, examples: Sequence[Example | TrainExample]) -> list[Encoded]:
        """Prompts with their token ids, in the order given."""
        prompts = [self.prompt(example) for example in examples]
        return [Encoded(example.id, prompt, ids)
                for example, prompt, ids in zip(examples, prompts, self._tokens(prompts), strict=True)]

    @property
    def label_ids(self) -> list[int]:
        """One token id per class; only with `scoring: verbalizer`."""
        if self.task.scoring != "verbalizer":
            raise InputError(f"{self.task.origin}: label tokens exist only with 'scoring: verbalizer'")
        return [ids[0] for ids in self.continuations]

    @cached_property
    def end_of_turn(self) -> int:
        """Token that ends the answer: the first that the chat template puts after it, else the end-of-text token."""
        tail = self._template_tail() if self.has_template else ""
        token = self.tokenizer.encode(tail, add_special_tokens=False)[0] if tail else self.tokenizer.eos_token_id
        if not isinstance(token, int):
            raise InputError(f"tokenizer {self._name}: has neither a chat template that ends a turn nor an "
                             "end-of-text token")
        self._check_rows(token)
        return token

    def describe(self) -> dict[str, Any]:
        """For the manifest: how prompts are made and which tokens stand for the classes."""
        return {"chat_template": self.has_template, "scoring": self.task.scoring,
                "label_words": list(self.task.label_words), "label_tokens": [list(ids) for ids in self.continuations],
                "end_of_turn": self.end_of_turn}

    def _frame(self, fields: str) -> str:
        task = self.task
        words = ", ".join(word.strip() for word in task.label_words)
        content = task.prompt.format(instruction=task.instruction, fields=fields, label_words=words)
        if not self.has_template:
            return f"{content}\nAnswer:"
        return self._render([{"role": "user", "content": content}], add_generation_prompt=True)

    def _render(self, messages: list[dict[str, str]], add_generation_prompt: bool) -> str:
        try:
            with limited(TEMPLATE_SECONDS, TEMPLATE_BYTES):
                text = str(self.tokenizer.apply_chat_template(messages, tokenize=False,
                                                              add_generation_prompt=add_generation_prompt))
        except Exception as error:  # a template is a program: it may raise anything, or never end
            raise InputError(f"tokenizer {self._name}: the chat template fails ({reason(error)})") from None
        if len(text) > MAX_PROMPT:
            raise InputError(f"tokenizer {self._name}: the chat template makes a prompt of {len(text)} characters")
        return text

    def _template_tail(self) -> str:
        marker = "jaxtruncanswer"
        messages = [{"role": "user", "content": PROBE}, {"role": "assistant", "content": marker}]
        _, found, tail = self._render(messages, add_generation_prompt=False).rpartition(marker)
        return tail if found else ""

    def _tokens(self, strings: list[str]) -> list[list[int]]:
        if not strings:
            return []
        found = self.tokenizer(strings, add_special_tokens=not self.has_template, verbose=False)["input_ids"]
        self._check_rows(max((max(ids, default=0) for ids in found), default=0))
        return found

    def _check_rows(self, token: int) -> None:
        """Another row of the embedding would be taken in silence."""
        if self._rows is not None and token >= self._rows:
            raise InputError(f"tokenizer {self._name}: a prompt of {self.task.origin} has the token "
                             f"{shown(self.tokenizer.convert_ids_to_tokens(token))} with the id {token}, but config.json says "
                             f"vocab_size {self._rows}; take tokenizer and model from the same place")

    def _cut(self, text: str) -> str:
        """`text` up to the end of its `max_text_tokens`-th token; a character is never cut in two."""
        limit = self.task.max_text_tokens
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        offsets = encoded["offset_mapping"]
        return text if len(offsets) <= limit else text[:offsets[limit][0]]

    def _continuations(self) -> list[tuple[int, ...]]:
        """Token ids of each label word right after a prompt."""
        probe = self._frame("\n".join(f"{name}: {PROBE}" for name in self.task.text))
        if PROBE not in probe:
            raise InputError(f"tokenizer {self._name}: the chat template leaves out what the user says")
        before, *after = self._tokens([probe, *(probe + word for word in self.task.label_words)])
        found = []
        for word, ids in zip(self.task.label_words, after, strict=True):
            if ids[:len(before)] != before or len(ids) == len(before):
                raise InputError(f"{self.task.origin}: the label word '{word}' merges with the end of the prompt; "
                                 "begin it with a space, or leave its space out")
            found.append(tuple(ids[len(before):]))
        if len(set(found)) < len(found):
            raise InputError(f"{self.task.origin}: two of 'label_words' are the same tokens; they must differ")
        return found

    def _check_single(self) -> None:
        for word, ids in zip(self.task.label_words, self.continuations, strict=True):
            if len(ids) != 1:
                pieces = " ".join(repr(self.tokenizer.decode([i])) for i in ids)
                raise InputError(f"{self.task.origin}: the label word '{word}' is {len(ids)} tokens after this prompt "
                                 f"({pieces}), expected one; choose other 'label_words' or set 'scoring: likelihood'")
