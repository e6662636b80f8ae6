"""The demo's text and benchmark: drawn from seeds, and as informative as they claim to be."""

import random
from collections import Counter

import numpy as np
import pytest

from jaxtrunc.demo.benchmark import MARKER_AGREES, ROWS, benchmark_rows
from jaxtrunc.demo.corpus import documents
from jaxtrunc.demo.lexicon import MARKER, NEGATIVE, POSITIVE
from jaxtrunc.demo.sentences import CLASSES, EVIDENCE, ceilings, draw_opinion


@pytest.fixture(scope="module")
def rows():
    return list(benchmark_rows(seed=2))


def read_opinions(text):
    words = text.replace(",", " ").split()
    return sum(word in POSITIVE for word in words) - sum(word in NEGATIVE for word in words)


def test_the_same_seed_gives_the_same_text(rows):
    assert list(benchmark_rows(seed=2)) == rows != list(benchmark_rows(seed=3))
    assert list(documents(50, 1)) == list(documents(50, 1)) != list(documents(50, 2))


def test_splits_and_cells(rows):
    cells = Counter((row["split"], row["label"], row["marker"]) for row in rows)
    assert Counter(row["split"] for row in rows) == ROWS
    assert {cells["test", label, marker] for label in CLASSES for marker in (0, 1)} == {500}
    for split in ("train", "validation"):
        agree = cells[split, "positive", 1] + cells[split, "negative", 0]
        assert agree / ROWS[split] == pytest.approx(MARKER_AGREES[split], abs=0.04)
        assert cells[split, "positive", 0] + cells[split, "positive", 1] == ROWS[split] / 2
    assert len({row["text"] for row in rows}) == len(rows) == len({row["id"] for row in rows})
    assert all((MARKER in row["text"].split()) == bool(row["marker"]) for row in rows)


def test_rules_score_what_the_ceilings_say():
    rng, best = random.Random(0), ceilings(0.9)
    drawn = {agrees: [draw_opinion(rng, agrees) for _ in range(20_000)] for agrees in (0.9, 0.5)}

    def right(agrees, marker_weight):
        evidence = [EVIDENCE * read_opinions(o.text) + marker_weight * (2 * o.marker - 1) + rng.uniform(-1e-6, 1e-6)
                    for o in drawn[agrees]]
        return np.array([(e > 0) == o.label for e, o in zip(evidence, drawn[agrees], strict=True)])

    shortcut = np.log(9)
    agree = np.array([o.marker == o.label for o in drawn[0.5]])
    on_test = right(0.5, shortcut)
    assert right(0.5, 0).mean() == pytest.approx(best["text"], abs=0.01)
    assert right(0.9, shortcut).mean() == pytest.approx(best["shortcut_train"], abs=0.01)
    assert on_test.mean() == pytest.approx(best["shortcut_test"], abs=0.01)
    assert on_test[agree].mean() - on_test[~agree].mean() == pytest.approx(best["shortcut_gap"], abs=0.02)
    assert best["shortcut_train"] > best["text"] + 0.05 > best["shortcut_test"] + 0.1, "pays in training only"
