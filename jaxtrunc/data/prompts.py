"""Prompts, label words and what a model is trained to answer: everything that depends on the tokenizer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from jaxtrunc.core.errors import InputError
from jaxtrunc.data.chat import PROBE, Chat
from jaxtrunc.data.examples import Example, TrainExample
from jaxtrunc.data.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


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
        self.chat = Chat(tokenizer, rows)
        self.task = task
        self.has_template = self.chat.has_template
        self.continuations = self._continuations()
        if task.scoring == "verbalizer":
            self._check_single()

    def prompt(self, example: Example | TrainExample) -> str:
        """The string given to the tokenizer."""
        limit = self.task.max_text_tokens
        return self._frame({name: self.chat.cut(text, limit) for name, text in example.fields.items()})

    def encode(self, examples: Sequence[Example | TrainExample]) -> list[Encoded]:
        """Prompts with their token ids, in the order given."""
        prompts = [self.prompt(example) for example in examples]
        return [Encoded(example.id, prompt, ids)
                for example, prompt, ids in zip(examples, prompts, self.chat.tokens(prompts, self.task.origin), strict=True)]

    @property
    def label_ids(self) -> list[int]:
        """One token id per class; only with `scoring: verbalizer`."""
        if self.task.scoring != "verbalizer":
            raise InputError(f"{self.task.origin}: label tokens exist only with 'scoring: verbalizer'")
        return [ids[0] for ids in self.continuations]

    @cached_property
    def end_of_turn(self) -> int:
        """Token that ends the answer: the first that the chat template puts after it, else the end-of-text token."""
        return self.chat.end_of_turn(self.task.origin)

    def describe(self) -> dict[str, Any]:
        """For the manifest: how prompts are made and which tokens stand for the classes."""
        return {"chat_template": self.has_template, "scoring": self.task.scoring,
                "label_words": list(self.task.label_words), "label_tokens": [list(ids) for ids in self.continuations],
                "end_of_turn": self.end_of_turn}

    def _frame(self, fields: Mapping[str, str]) -> str:
        """The filled prompt; a text whose name is empty stands there alone."""
        task, lines = self.task, "\n".join(f"{name}: {text}" if name else text for name, text in fields.items())
        words = ", ".join(word.strip() for word in task.label_words)
        content = task.prompt.format(instruction=task.instruction, fields=lines, label_words=words)
        return self.chat.prompt(content)

    def _continuations(self) -> list[tuple[int, ...]]:
        """Token ids of each label word right after a prompt."""
        probe = self._frame(dict.fromkeys(self.task.text, PROBE))
        if PROBE not in probe:
            raise InputError(f"tokenizer {self.chat.name}: the chat template leaves out what the user says")
        before, *after = self.chat.tokens([probe, *(probe + word for word in self.task.label_words)], self.task.origin)
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
                pieces = " ".join(repr(self.chat.tokenizer.decode([i])) for i in ids)
                raise InputError(f"{self.task.origin}: the label word '{word}' is {len(ids)} tokens after this prompt "
                                 f"({pieces}), expected one; choose other 'label_words' or set 'scoring: likelihood'")
