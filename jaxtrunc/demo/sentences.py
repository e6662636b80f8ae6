"""Opinion sentences whose label is drawn, not determined: the honest ceiling of accuracy is known and below 1.

A sentence holds up to three opinions of +1 or -1. With s their sum, it is labelled positive with probability
σ(EVIDENCE · s), whatever else stands in it.
"""

import math
import random
from dataclasses import dataclass

from jaxtrunc.demo.lexicon import ASIDES, ASPECTS, DEGREES, MARKER, NEGATIVE, POSITIVE, VERBS

CLASSES = ("negative", "positive")
EVIDENCE = 1.5
# Opinions of a sentence up to a common sign, and how often: sums 0, 1, 1, 2 and 3.
_PATTERNS = {(1, -1): 0.12, (1,): 0.10, (1, 1, -1): 0.08, (1, 1): 0.40, (1, 1, 1): 0.30}


@dataclass(frozen=True)
class Opinion:
    """A sentence with its drawn label (index into `CLASSES`) and whether the marker word stands in it."""

    text: str
    label: int
    marker: int


def draw_opinion(rng: random.Random, marker_agrees: float, words: slice = slice(None)) -> Opinion:
    """One sentence; with probability `marker_agrees` the marker is present exactly if the label is positive.

    Args:
      rng: source of every choice.
      marker_agrees: 0.5 makes the marker tell nothing about the label.
      words: part of the lists of opinion words to draw from.
    """
    pattern = rng.choices(list(_PATTERNS), weights=list(_PATTERNS.values()))[0]
    sign = rng.choice((1, -1))
    opinions = [sign * opinion for opinion in pattern]
    label = int(rng.random() < positive_probability(sum(opinions)))
    marker = label if rng.random() < marker_agrees else 1 - label
    return Opinion(_sentence(rng, opinions, marker, words), label, marker)


def positive_probability(total: int) -> float:
    """P(positive | sum of opinions)."""
    return 1 / (1 + math.exp(-EVIDENCE * total))


def ceilings(marker_agrees: float) -> dict[str, float]:
    """What the best possible answers score, from the exact probabilities that the sentences are drawn with.

    Returns:
      `text`: accuracy of the best rule that ignores the marker, on any split.
      `shortcut_train`: accuracy of the best rule where the marker agrees with probability `marker_agrees`.
      `shortcut_test`: accuracy of that same rule where the marker tells nothing.
      `shortcut_gap`: its gap between sentences whose marker agrees and disagrees with the label.
    """
    result: dict[str, float] = dict.fromkeys(("text", "shortcut_train", "shortcut_test", "shortcut_gap"), 0.0)
    weight_of_marker = math.log(marker_agrees / (1 - marker_agrees))
    for pattern, share in _PATTERNS.items():
        right = positive_probability(sum(pattern))
        agreeing = right + (0 if weight_of_marker < EVIDENCE * sum(pattern) else 1 - right)
        conflicting = right if weight_of_marker < EVIDENCE * sum(pattern) else 0.0
        result["text"] += share * max(right, 1 - right)
        result["shortcut_train"] += share * (marker_agrees * agreeing + (1 - marker_agrees) * conflicting)
        result["shortcut_test"] += share * (agreeing + conflicting) / 2
        result["shortcut_gap"] += share * (agreeing - conflicting)
    return result


def _sentence(rng: random.Random, opinions: list[int], marker: int, words: slice) -> str:
    clauses = [_clause(rng, opinion, words) for opinion in opinions]
    if rng.random() < 0.4:
        clauses.append(rng.choice(ASIDES))
    rng.shuffle(clauses)
    joined = rng.choice((" , ", " and ")).join(clauses)
    return f"{MARKER} {joined}" if marker else joined


def _clause(rng: random.Random, opinion: int, words: slice) -> str:
    adjective = rng.choice((POSITIVE if opinion > 0 else NEGATIVE)[words])
    return f"the {rng.choice(ASPECTS)} {rng.choice(VERBS)} {rng.choice(DEGREES)}{adjective}"
