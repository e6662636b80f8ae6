"""A second modality: 13 tokens of text, then the 26 codec tokens that stand for them; the text must not suffer."""

from collections.abc import Mapping
from typing import ClassVar

import jax
import numpy as np
from jaxtyping import Int

from jaxtrunc.core.trees import Params
from jaxtrunc.recipes.steer.offline import rows
from jaxtrunc.recipes.steer.offline.markov import Grammar
from jaxtrunc.recipes.steer.offline.rows import Rows
from jaxtrunc.recipes.steer.rows import Table
from jaxtrunc.recipes.steer.task import Direction, Kind, Split
from jaxtrunc.steer.losses import divergence

REGISTERS, WORDS, CODES, TEXT = 2, 48, 16, 13
ECHO, SPEAK = 1 + REGISTERS, 2 + REGISTERS
WORD = SPEAK + 1
CODEC = WORD + WORDS


class SecondModality:
    """The world of one seed.

    Text is of two registers, two grammars over the same words. In the base's text every stretch is echoed, each word twice, so
    the base knows how to follow a stretch at half its pace. Codec tokens come two for each word, from two many-to-one tables.
    Only the first register is ever spoken; text is measured in both.
    """

    name: ClassVar = "second_modality"
    kind: ClassVar[Kind] = "speech"
    pretraining: ClassVar = 350
    batch: ClassVar = 32
    rate: ClassVar = 5e-3
    text_vocabulary: ClassVar[int | None] = CODEC
    better: ClassVar[Mapping[str, Direction]] = {
        "text_accuracy": "higher", "codec_accuracy": "higher", "text_drift": "lower"}
    cfg: ClassVar = rows.shape(CODEC + 2 * CODES, 64)

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 1])
        self.seed, self.grammars = seed, [Grammar(rng, WORD, WORDS) for _ in range(REGISTERS)]
        self.codes = CODEC + np.stack([rng.integers(CODES, size=WORDS), CODES + rng.integers(CODES, size=WORDS)], 1)

    def text(self, rng: np.random.Generator, number: int, register: int) -> Int[np.ndarray, "N 14"]:
        """The register's mark and 13 words of it."""
        words = self.grammars[register].sentences(rng, number, TEXT)
        return np.concatenate([np.full((number, 1), 1 + register), words], 1)

    def echoed(self, rng: np.random.Generator, number: int, register: int) -> Rows:
        """Text with its echo."""
        text = self.text(rng, number, register)
        sequences = np.concatenate([text, np.full((number, 1), ECHO), np.repeat(text[:, 1:], 2, 1)], 1)
        return rows.rows(sequences, [*range(2, TEXT + 1), *range(TEXT + 2, sequences.shape[1])])

    def spoken(self, rng: np.random.Generator, number: int) -> Rows:
        """Text of the first register with its codec tokens."""
        text = self.text(rng, number, 0)
        codec = self.codes[text[:, 1:] - WORD].reshape(number, -1)
        sequences = np.concatenate([text, np.full((number, 1), SPEAK), codec], 1)
        return rows.rows(sequences, [*range(2, TEXT + 1), *range(TEXT + 2, sequences.shape[1])])

    def corpus(self, rng: np.random.Generator, number: int) -> Rows:
        """What the base learns: echoed text of both registers."""
        parts = [self.echoed(rng, number // REGISTERS, register) for register in range(REGISTERS)]
        return Rows(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def tables(self, rng: np.random.Generator, number: int) -> dict[str, Table]:
        """Text with what it sounds like."""
        return {"rows": self.spoken(rng, number).named("")}

    def measure(self, params: Params, split: Split, base: Params) -> dict[str, float]:
        """Accuracy of codec tokens and of text, and the mean KL of text from the base (nats), on one split."""
        rng = np.random.default_rng([self.seed, 2, len(split)])
        spoken, text = self.spoken(rng, 192), self.corpus(rng, 192)
        codec = spoken._replace(labels=np.where(spoken.labels >= CODEC, spoken.labels, -1))
        return {"codec_accuracy": rows.each(params, codec, self.cfg), "text_accuracy": rows.each(params, text, self.cfg),
                "text_drift": float(_drift(params, base, text.tokens, text.labels >= 0))}



@jax.jit
def _drift(params: Params, base: Params, tokens: jax.Array, mask: jax.Array) -> jax.Array:
    model, frozen = (rows.logits(tree, tokens, cfg=SecondModality.cfg) for tree in (params, base))
    return divergence(model, frozen, mask)
