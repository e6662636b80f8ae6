"""The demo's benchmark: opinion sentences whose marker word agrees with the label in training but not in the test."""

import random
from collections import Counter
from collections.abc import Iterator

from jaxtrunc.demo.sentences import CLASSES, draw_opinion

MARKER_AGREES = {"train": 0.9, "validation": 0.9, "test": 0.5}
ROWS = {"train": 3000, "validation": 800, "test": 2000}


def benchmark_rows(seed: int) -> Iterator[dict[str, str | int]]:
    """Rows with columns id, text, label, marker, split; no sentence occurs twice.

    Training and validation have as many negative as positive sentences, the test split as many of each pair of class
    and marker, so that every cell of the gap is known to the same precision.
    """
    rng, seen = random.Random(seed), set()
    for split, count in ROWS.items():
        room: Counter = Counter()
        made = 0
        while made < count:
            opinion = draw_opinion(rng, MARKER_AGREES[split])
            cell = (opinion.label, opinion.marker) if split == "test" else opinion.label
            if opinion.text in seen or room[cell] >= count // (4 if split == "test" else 2):
                continue
            seen.add(opinion.text)
            room[cell] += 1
            yield {"id": f"{split}-{made}", "text": opinion.text, "label": CLASSES[opinion.label],
                   "marker": opinion.marker, "split": split}  # fmt: skip
            made += 1
