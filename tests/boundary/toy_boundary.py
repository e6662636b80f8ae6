"""Toy rows and tasks of the boundary case: opinion sentences of the demo's generator, one marker word per class."""

import json
import random
from pathlib import Path

from jaxtrunc.demo.sentences import CLASSES, draw_opinion

TOKENS = {"negative": "red", "positive": "green"}
RATE = 0.95


def opinion_rows(sizes: dict[str, int], seed: int = 0) -> list[dict]:
    """Rows with id, text, label, split; no sentence twice, as many of one class as of the other."""
    rng, seen, rows = random.Random(seed), set(), []
    for split, size in sizes.items():
        room = [size // 2] * 2
        while any(room):
            opinion = draw_opinion(rng, 0.5)
            if room[opinion.label] and opinion.text not in seen:
                seen.add(opinion.text)
                room[opinion.label] -= 1
                rows.append({"id": f"{split}-{len(rows)}", "text": opinion.text, "label": CLASSES[opinion.label], "split": split})
    return rows


def boundary_task(folder: Path, rows: list[dict], boundary: str = "permuted", **changes) -> dict:
    """The task as its YAML would give it, its rows in `folder`; `None` takes a key away."""
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    splits = list(dict.fromkeys(row["split"] for row in rows))
    inject = {"tokens": TOKENS, "attribute": "marker", "class": "positive",
              "correlation": {split: 0.5 if split == "test" else RATE for split in splits}}
    values = {"name": "toy_boundary", "source": {"path": str(folder / "rows.jsonl")}, "splits": {name: name for name in splits},
              "text": {"Sentence": "text"}, "label": "label", "classes": list(CLASSES),
              "label_words": [" negative", " positive"], "attributes": ["marker"], "inject": inject, "boundary": boundary,
              "instruction": "Is the sentiment of this sentence negative or positive?"}
    return {key: value for key, value in (values | changes).items() if value is not None}
