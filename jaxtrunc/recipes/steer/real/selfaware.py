"""Hallucination on SelfAware (Yin et al. 2023, arXiv 2305.18153): say so where nobody can know, answer where one can."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jax.sharding import Mesh

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.trees import Params
from jaxtrunc.recipes.steer.real.talk import Talk, column_rows, data_directory, open_talk
from jaxtrunc.recipes.steer.task import Direction, Split, SteerTask, TaskSettings

ABSTENTION = "I don't know. Nobody can say."
HELD_OUT = 100  # questions of each kind for each split
BETTER: Mapping[str, Direction] = {"fabricated": "lower", "fabrication_margin": "lower", "answer_nll": "lower",
                                   "needless_abstention": "lower"}
Pairs = Sequence[tuple[str, str]]


def selfaware(settings: TaskSettings, here: Path, place: Path, mesh: Mesh | None) -> SteerTask:
    """Unanswerable questions of DATA/selfaware with another question's answer as the unsupported span, and what should be said.

    `fabricated` is the share of unanswerable questions for which such an answer is likelier per token than the abstention,
    `fabrication_margin` the mean of that difference (nats), `needless_abstention` the share of answerable ones for which the right
    answer is less likely.
    """
    del place
    path, talk = data_directory(settings, here) / "selfaware/questions.jsonl.gz", open_talk(settings, here, mesh)
    known, unknown = _questions(path, np.random.default_rng(settings.seed))
    held = {"validation": slice(0, HELD_OUT), "test": slice(HELD_OUT, 2 * HELD_OUT)}
    rows = min(len(known), len(unknown)) - 2 * HELD_OUT
    rest = slice(2 * HELD_OUT, 2 * HELD_OUT + min(rows, settings.rows or rows))
    corrected = [(question, ABSTENTION) for question, _ in unknown[rest]]
    sides = {"span": unknown[rest], "prefix": known[rest], "corrected": corrected}
    table = {key: array for name, pairs in sides.items() for key, array in _table(talk, name, pairs).items()}
    asked = {split: [_both(talk, kind[part]) for kind in (unknown, known)] for split, part in held.items()}

    def metrics(params: Params, split: Split) -> dict[str, float]:
        (invented, abstained), (right, needless) = ([talk.said(params, table) for table in pair] for pair in asked[split])
        return {"fabricated": float((invented.each > abstained.each).mean()),
                "fabrication_margin": float((invented.each - abstained.each).mean()),
                "answer_nll": float(-right.log_prob.sum() / right.tokens.sum()),
                "needless_abstention": float((needless.each > right.each).mean())}

    return SteerTask("selfaware", "hallucination", talk.cfg, talk.params, {"rows": table}, metrics, BETTER,
                     talk.side.source.directory, facts={"base_model": settings.base_model, "seed": settings.seed})


def _questions(path: Path, rng: np.random.Generator) -> tuple[Pairs, Pairs]:
    """Answerable questions with their first answer, unanswerable ones with an answer to another question; both shuffled."""
    rows = column_rows(path, "question")
    known = [(row["question"], str(row["answers"][0])) for row in rows if row.get("answerable") == 1 and row.get("answers")]
    unknown = [row["question"] for row in rows if row.get("answerable") == 0]
    if min(len(known), len(unknown)) <= 2 * HELD_OUT:
        raise InputError(f"{path}: expected more than {2 * HELD_OUT} answerable and unanswerable questions, found {len(known)} and "
                         f"{len(unknown)}")
    known = [known[index] for index in rng.permutation(len(known))]
    borrowed = [known[index][1] for index in rng.integers(len(known), size=len(unknown))]
    pairs = list(zip(unknown, borrowed, strict=True))
    return known, [pairs[index] for index in rng.permutation(len(pairs))]


def _both(talk: Talk, pairs: Pairs) -> list[dict[str, np.ndarray]]:
    """The questions with their answers, and with the abstention."""
    return [_table(talk, "asked", pairs), _table(talk, "asked", [(question, ABSTENTION) for question, _ in pairs])]


def _table(talk: Talk, name: str, pairs: Pairs) -> dict[str, np.ndarray]:
    return talk.table(name, *map(list, zip(*pairs, strict=True)))
