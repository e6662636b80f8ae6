"""Asking a model: greedy answers to every question, how likely it begins with a refusal, and what both come to."""

import gzip
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jax.tree_util import Partial

from jaxtrunc.core.files import staging_name
from jaxtrunc.core.jsonio import dumps
from jaxtrunc.core.processes import fetch
from jaxtrunc.core.progress import progress
from jaxtrunc.core.trees import Params
from jaxtrunc.data import Encoded, bucket_batches
from jaxtrunc.data.batching import FILLER
from jaxtrunc.data.conversations import EXPECTED, Question
from jaxtrunc.evals import Scorer
from jaxtrunc.evals.openings import AGREEING, REFUSING, margins, opening_set
from jaxtrunc.evals.safety import Answer
from jaxtrunc.models import generate
from jaxtrunc.recipes.sae.base import Base
from jaxtrunc.recipes.sae.settings import AnswerSettings

Edits = Callable[[Any], Mapping[str, Partial]]
WIDTHS = 2  # of prompts; each is a compiled program, for the base model, adapters and edits apart


class Asker:
    """Asks the same questions of any parameters of one architecture; compiled once per shape and tree."""

    def __init__(self, base: Base, questions: Sequence[Question], origin: str, settings: AnswerSettings):
        chat = base.chat
        self.questions, self._base, self._settings = questions, base, settings
        prompts = [chat.prompt(chat.cut(question.prompt, settings.max_tokens)) for question in questions]
        ids = chat.tokens(prompts, origin)
        self._encoded = [Encoded(row.id, prompt, tokens) for row, prompt, tokens in zip(questions, prompts, ids, strict=True)]
        self._batches = bucket_batches(ids, base.rows(settings.batch_size), WIDTHS)
        refusing, agreeing = chat.answer_tokens((REFUSING, AGREEING), origin)
        refused = [question.expected == EXPECTED[0] for question in questions]
        self._openings = opening_set(self._encoded, refused, (refusing, agreeing), base.rows(settings.batch_size))
        end = chat.tokenizer.eos_token_id
        self._stops = tuple(sorted({chat.end_of_turn(origin)} | ({end} if isinstance(end, int) else set())))
        self._scorer = Scorer(base.cfg, base.execution, base.mesh)

    def ask(self, params: Params, title: str, *, edits: Edits | None = None, margin: bool = True) -> list[Answer]:
        """The answer to every question, in their order.

        Args:
          params: of the base model, or with an adapter applied.
          edits: from where activations count in a batch (B, T) to what `generate` takes.
          margin: also the refusal margin, which edits do not reach.
        """
        responses = self._responses(params, title, edits)
        said = margins(self._scorer, params, self._openings) if margin else [None] * len(responses)
        return [Answer(row.prompt, response, row.expected, row.set, None if value is None else float(value))
                for row, response, value in zip(self.questions, responses, said, strict=True)]

    def _responses(self, params: Params, title: str, edits: Edits | None) -> list[str]:
        base, found = self._base, [""] * len(self.questions)
        with progress(f"{title}: answers", len(self._batches)) as advance:
            for batch in self._batches:
                counts = base.placed(base.counts(batch.tokens, batch.lengths))
                made = fetch(generate(params, base.cfg, base.placed(batch.tokens), base.placed(batch.lengths),
                                      self._settings.new_tokens, self._stops, base.execution,
                                      edits=edits and edits(counts)))
                for row, tokens in zip(batch.rows, made, strict=True):
                    if row != FILLER:
                        found[row] = self._text(tokens)
                advance()
        return found

    def _text(self, tokens: np.ndarray) -> str:
        return str(self._base.chat.tokenizer.decode([int(token) for token in tokens if token >= 0], skip_special_tokens=True))


def write_answers(run: Path, name: str, questions: Sequence[Question], answers: Sequence[Answer]) -> None:
    """RUN/samples/NAME.jsonl.gz: what was asked and answered, one line each; the same bytes for the same answers."""
    final = run / f"samples/{name}.jsonl.gz"
    final.parent.mkdir(exist_ok=True)
    staged = staging_name(final)
    with open(staged, "wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
        for question, answer in zip(questions, answers, strict=True):
            row = {"id": question.id, "set": question.set, "prompt": question.prompt, "expected": question.expected,
                   "response": answer.response, "outcome": answer.outcome, "refusal_logprob_margin": answer.margin}
            packed.write((dumps(row) + "\n").encode())
    os.replace(staged, final)
