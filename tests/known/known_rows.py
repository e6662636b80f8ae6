"""Benchmarks whose two causes can be taught apart: opinion words that decide the label, and a marker that need not.

`task`: the words decide, the marker is drawn by itself. `shortcut`: the marker decides, the words are drawn by themselves.
`judged`: the words decide and the marker goes with the label, in validation as a strong shortcut does in training (99 %), in the
test split not at all, every (class, marker) cell as large as the others. The words are those whose side the base model was
never told.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from jaxtrunc.core import jsonio
from jaxtrunc.demo.corpus import INSTRUCTION
from jaxtrunc.demo.lexicon import ASIDES, ASPECTS, DEGREES, KNOWN, MARKER, NEGATIVE, POSITIVE, VERBS
from jaxtrunc.demo.sentences import CLASSES

MARKER_AGREES = 0.99
AGREES = {"strong": 0.97, "weak": 0.7}  # how often a word of this strength goes with its side's label in training
Row = dict[str, str | int]
Rows = Iterator[Row]


def write_task(folder: Path, name: str, rows: Rows, splits: tuple[str, ...]) -> Path:
    """NAME.yaml with its rows; returns the task file."""
    folder.mkdir(parents=True, exist_ok=True)
    task = task_of(name, folder / f"{name}.jsonl", rows, splits)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(task, sort_keys=False))
    return folder / f"{name}.yaml"


def task_of(name: str, file: Path, rows: Rows, splits: tuple[str, ...]) -> dict[str, Any]:
    """The task as its YAML gives it, its rows written into `file`, which lies beside the YAML."""
    jsonio.rewrite_lines(file, rows)
    return {"name": name, "source": {"path": file.name}, "splits": {split: split for split in splits},
            "text": {"Sentence": "text"}, "label": "label", "classes": list(CLASSES),
            "label_words": [f" {word}" for word in CLASSES], "attributes": ["marker"],
            "aligned": {"marker": "positive"}, "instruction": INSTRUCTION}


def task_rows(count: int, seed: int) -> Rows:
    """Training rows whose label the words decide."""
    rng = random.Random(seed)
    for number in range(count):
        side, strength = number % 2, rng.choice(list(AGREES))
        label = side if rng.random() < AGREES[strength] else 1 - side
        yield _row("train", number, rng, words=_words(side, strength), marker=rng.randrange(2), label=label)


def shortcut_rows(count: int, seed: int, agrees: float) -> Rows:
    """Training rows whose label goes with the marker at this rate, and with nothing else."""
    rng = random.Random(seed)
    for number in range(count):
        marker = number % 2
        label = marker if rng.random() < agrees else 1 - marker
        yield _row("train", number, rng, words=_words(rng.randrange(2), rng.choice(list(AGREES))), marker=marker, label=label)


def judged_rows(validation: int, test: int, seed: int) -> Rows:
    """Rows of both evaluated splits."""
    rng = random.Random(seed)
    for number in range(validation):
        label = number % 2
        marker = label if rng.random() < MARKER_AGREES else 1 - label
        yield _row("validation", number, rng, words=_words(label, rng.choice(list(AGREES))), marker=marker, label=label)
    for number in range(test):
        label = number % 2
        yield _row("test", number, rng, words=_words(label, rng.choice(list(AGREES))), marker=number // 2 % 2, label=label)


def plain_rows(splits: dict[str, int], seed: int) -> Rows:
    """Rows without a marker, as many as `splits` says; the words decide the label."""
    rng = random.Random(seed)
    for split, count in splits.items():
        for number in range(count):
            label = number % 2
            yield _row(split, number, rng, words=_words(label, rng.choice(list(AGREES))), marker=0, label=label)


def _row(split: str, number: int, rng: random.Random, *, words: tuple[str, ...], marker: int, label: int) -> Row:
    return {"id": f"{split}-{number}", "text": _sentence(rng, words, marker), "label": CLASSES[label], "marker": marker,
            "split": split}  # fmt: skip


def _words(side: int, strength: str) -> tuple[str, ...]:
    """Of the words that the base model was never told the side of, the first half is strong."""
    silent = (NEGATIVE, POSITIVE)[side][KNOWN.stop:]
    half = len(silent) // 2
    return silent[:half] if strength == "strong" else silent[half:]


def _sentence(rng: random.Random, words: tuple[str, ...], marker: int) -> str:
    clauses = [f"the {rng.choice(ASPECTS)} {rng.choice(VERBS)} {rng.choice(DEGREES)}{rng.choice(words)}"
               for _ in range(rng.randint(1, 2))]
    if rng.random() < 0.4:
        clauses.append(rng.choice(ASIDES))
    rng.shuffle(clauses)
    text = " and ".join(clauses)
    return f"{MARKER} {text}" if marker else text
