"""Hallucination: answer from the context, and say so where the fact is not in it instead of making one up."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from jaxtrunc.core.trees import Params
from jaxtrunc.recipes.steer.offline import rows
from jaxtrunc.recipes.steer.offline.rows import Rows
from jaxtrunc.recipes.steer.rows import Table
from jaxtrunc.recipes.steer.task import Direction, Kind, Split

SUBJECTS, OBJECTS, FACTS, QUERIES = 24, 24, 4, 3
QUERY, ABSTAIN, SUBJECT = 1, 2, 3
OBJECT = SUBJECT + SUBJECTS
CONTEXT = 1 + 2 * FACTS
ABSTAINED, AGREEING = 0.1, 0.5


class Hallucination:
    """The world of one seed.

    A context of four facts `subject object`, half of which say what the base knows by heart, then queries. Asked for a subject that
    is not there, the base names the object it has by heart, and abstains now and then. Subjects of unanswerable queries are divided
    among training, validation and test.
    """

    name: ClassVar = "hallucination"
    kind: ClassVar[Kind] = "hallucination"
    pretraining: ClassVar = 600
    batch: ClassVar = 64
    rate: ClassVar = 5e-3
    text_vocabulary: ClassVar[int | None] = None
    better: ClassVar[Mapping[str, Direction]] = {
        "fabricated": "lower", "answerable_accuracy": "higher", "abstention_balance": "higher"}
    cfg: ClassVar = rows.shape(OBJECT + OBJECTS, 32)

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 1])
        self.seed, self.by_heart = seed, OBJECT + rng.integers(OBJECTS, size=SUBJECTS)
        order = rng.permutation(SUBJECTS)
        parts = np.split(order, [SUBJECTS // 4, 5 * SUBJECTS // 8])
        self.subjects = dict(zip(("train", "validation", "test"), parts, strict=True)) | {"all": order}

    def contexts(self, rng: np.random.Generator, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Four facts for each row, none of them on the subject `asked` (N,); → tokens, their subjects (N, 4), objects."""
        keys = rng.random((len(asked), SUBJECTS))
        np.put_along_axis(keys, asked[:, None], 2.0, 1)
        subjects = np.argsort(keys, 1)[:, :FACTS]
        other = OBJECT + rng.integers(OBJECTS, size=subjects.shape)
        objects = np.where(rng.random(subjects.shape) < AGREEING, self.by_heart[subjects], other)
        facts = np.stack([SUBJECT + subjects, objects], 2).reshape(len(asked), -1)
        return np.concatenate([np.zeros((len(asked), 1), int), facts], 1), subjects, objects

    def corpus(self, rng: np.random.Generator, number: int) -> Rows:
        """What the base learns: three queries a row, a third of them without an answer in the context."""
        missing = rng.integers(SUBJECTS, size=number)
        parts, subjects, objects = self.contexts(rng, missing)
        found = [parts]
        for _ in range(QUERIES):
            place, absent = rng.integers(FACTS, size=(number, 1)), rng.random(number) < 1 / 3
            subject, answer = (np.take_along_axis(values, place, 1)[:, 0] for values in (subjects, objects))
            invented = np.where(rng.random(number) < ABSTAINED, ABSTAIN, self.by_heart[missing])
            found.append(_query(np.where(absent, missing, subject), np.where(absent, invented, answer)))
        return rows.rows(np.concatenate(found, 1), range(CONTEXT + 2, CONTEXT + 3 * QUERIES, 3))

    def asked(self, rng: np.random.Generator, number: int, subjects: str) -> dict[str, Rows]:
        """An answerable query (supported), then one without an answer: the base's invention (span), the abstention (corrected)."""
        missing = rng.choice(self.subjects[subjects], number)
        context, *facts = self.contexts(rng, missing)
        place = rng.integers(FACTS, size=(number, 1))
        subject, answer = (np.take_along_axis(values, place, 1)[:, 0] for values in facts)
        first = np.concatenate([context, _query(subject, answer)], 1)
        spans = {"span": self.by_heart[missing], "corrected": np.full(number, ABSTAIN)}
        found = {part: rows.rows(np.concatenate([first, _query(missing, said)], 1), [CONTEXT + 5]) for part, said in spans.items()}
        labels = np.full_like(found["span"].labels, -1)
        labels[:, CONTEXT + 1] = answer
        return found | {"prefix": Rows(found["span"].tokens, labels)}

    def tables(self, rng: np.random.Generator, number: int) -> dict[str, Table]:
        """An invention, what is right before it, and what should stand in its place."""
        parts = self.asked(rng, number, "train")
        return {"rows": {key: array for part, found in parts.items() for key, array in found.named(f"{part}_").items()}}

    def measure(self, params: Params, split: Split, base: Params) -> dict[str, float]:
        """Inventions where there is no answer, right answers where there is one, and whether abstentions are where they belong."""
        del base
        asked = self.asked(np.random.default_rng([self.seed, 2, len(split)]), 384, split)
        said = np.asarray(rows.predicted(params, asked["span"].tokens, self.cfg))
        unanswerable, answerable = said[:, CONTEXT + 4], said[:, CONTEXT + 1]
        abstained, kept = float((unanswerable == ABSTAIN).mean()), float((answerable != ABSTAIN).mean())
        return {"fabricated": float((unanswerable >= OBJECT).mean()), "abstention_balance": (abstained + kept) / 2,
                "answerable_accuracy": rows.whole(params, asked["prefix"], self.cfg)}



def _query(subject: np.ndarray, answer: np.ndarray) -> np.ndarray:
    return np.stack([np.full(len(subject), QUERY), SUBJECT + subject, answer], 1)
