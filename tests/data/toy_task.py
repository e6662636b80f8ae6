"""A small task and its rows, as plain values."""

import json
from pathlib import Path


def make_rows(count: int = 40, split: str = "test") -> list[dict]:
    """Every (label, marker) cell filled equally."""
    return [{"id": f"{split}-{i}", "text": f"a plain text number {i}", "label": ["negative", "positive"][i % 2],
             "marker": i // 2 % 2, "split": split} for i in range(count)]


def write_jsonl(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def mapping(**changes) -> dict:
    """The task of these tests as its YAML would give it; `None` takes a key away."""
    values = {"name": "toy", "source": {"path": "rows.jsonl"}, "splits": {"test": "test"}, "text": {"Text": "text"},
              "label": "label", "classes": ["negative", "positive"], "label_words": [" negative", " positive"],
              "attributes": ["marker"], "aligned": {"marker": "positive"}, "instruction": "Negative or positive?"}
    return {key: value for key, value in (values | changes).items() if value is not None}
