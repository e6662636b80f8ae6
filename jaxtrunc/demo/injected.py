"""Rows of the built-in benchmark `injected_token`: opinion sentences without a marker; its task file plants one."""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

from jaxtrunc.demo.benchmark import ROWS
from jaxtrunc.demo.lexicon import MARKER
from jaxtrunc.demo.sentences import CLASSES, draw_opinion

SEED = 3


def rows(split: str) -> list[dict[str, Any]]:
    """Columns id, text, label; as many negative as positive ones, no sentence twice, not even in two splits.

    Args:
      split: train, validation or test; another one is a KeyError.
    """
    drawn = _sentences(random.Random(SEED))
    return {name: _balanced(drawn, name, count) for name, count in ROWS.items()}[split]


def _sentences(rng: random.Random) -> Iterator[tuple[str, int]]:
    """Different sentences with their drawn labels."""
    seen: set[str] = set()
    while True:
        opinion = draw_opinion(rng, 0.5)
        text = opinion.text.removeprefix(f"{MARKER} ")
        if text not in seen:
            seen.add(text)
            yield text, opinion.label


def _balanced(drawn: Iterator[tuple[str, int]], split: str, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    made: Counter = Counter()
    while len(found) < count:
        text, label = next(drawn)
        if made[label] < count // 2:
            made[label] += 1
            found.append({"id": f"{split}-{len(found)}", "text": text, "label": CLASSES[label]})
    return found
