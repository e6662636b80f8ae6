"""Unlearning: facts `subject relation → object` after a stretch of grammar; those of a tenth of the subjects shall go."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from jaxtrunc.core.trees import Params
from jaxtrunc.recipes.steer.offline import rows
from jaxtrunc.recipes.steer.offline.markov import Grammar
from jaxtrunc.recipes.steer.offline.rows import Rows
from jaxtrunc.recipes.steer.rows import Table
from jaxtrunc.recipes.steer.task import Direction, Kind, Split

SUBJECTS, RELATIONS, OBJECTS, WORDS, PREFIX = 60, 4, 24, 48, 6
RELATION = 1 + SUBJECTS
OBJECT = RELATION + RELATIONS
WORD = OBJECT + OBJECTS
ANSWER = PREFIX + 3
FORGOTTEN = SUBJECTS // 10


class Unlearning:
    """The world of one seed.

    Retained subjects are of three kinds: half of them stand in the constraint's batches, the others in the validation or the test
    split, so that the measure of what is retained is on facts which no step was told to keep.
    """

    name: ClassVar = "unlearning"
    kind: ClassVar[Kind] = "unlearn"
    pretraining: ClassVar = 700
    batch: ClassVar = 64
    rate: ClassVar = 5e-3
    text_vocabulary: ClassVar[int | None] = None
    better: ClassVar[Mapping[str, Direction]] = {
        "forget_accuracy": "lower", "retain_accuracy": "higher", "grammar_perplexity": "lower"}
    cfg: ClassVar = rows.shape(WORD + WORDS, 16)

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 1])
        self.seed, self.grammar = seed, Grammar(rng, WORD, WORDS)
        self.object = rng.integers(OBJECTS, size=(SUBJECTS, RELATIONS))
        order, half = rng.permutation(SUBJECTS), (SUBJECTS - FORGOTTEN) // 2
        self.subjects = {"forget": order[:FORGOTTEN], "retain": order[FORGOTTEN:FORGOTTEN + half]}
        self.subjects["validation"], self.subjects["test"] = np.array_split(order[FORGOTTEN + half:], 2)

    def facts(self, rng: np.random.Generator, subjects: np.ndarray, number: int, *, grammar: bool = False) -> Rows:
        """Random facts of some subjects; the object is asked for and, with `grammar`, what stands before the fact."""
        subject, relation = rng.choice(subjects, number), rng.integers(RELATIONS, size=number)
        fact = np.stack([1 + subject, RELATION + relation, OBJECT + self.object[subject, relation]], 1)
        before = self.grammar.sentences(rng, number, PREFIX)
        sequences = np.concatenate([np.zeros((number, 1), int), before, fact], 1)
        return rows.rows(sequences, [*(range(2, PREFIX + 1) if grammar else ()), ANSWER])

    def corpus(self, rng: np.random.Generator, number: int) -> Rows:
        """What the base learns: everything."""
        return self.facts(rng, np.arange(SUBJECTS), number, grammar=True)

    def tables(self, rng: np.random.Generator, number: int) -> dict[str, Table]:
        """Facts to forget and facts to keep."""
        return {part: self.facts(rng, self.subjects[part], number).named(f"{part}_") for part in ("forget", "retain")}

    def measure(self, params: Params, split: Split, base: Params) -> dict[str, float]:
        """Both accuracies and the perplexity of unseen sentences on one split."""
        del base
        rng = np.random.default_rng([self.seed, 2, len(split)])
        forget, retain = (self.facts(rng, self.subjects[part], 384) for part in ("forget", split))
        sentences = rows.rows(self.grammar.sentences(rng, 256, ANSWER), range(1, ANSWER))
        return {"forget_accuracy": rows.whole(params, forget, self.cfg), "retain_accuracy": rows.whole(params, retain, self.cfg),
                "grammar_perplexity": rows.perplexity(params, sentences, self.cfg)}
