"""The embedded model as a base, and rows to go with it."""

import json
from pathlib import Path

import pytest

REFUSALS = ("I'm sorry, but I can't help with that.", "I cannot say anything about this.")


def write_rows(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    """text, pairs, train and eval rows about reviews, enough for a run of seconds."""
    subjects = ["camera", "table", "hotel", "song", "phone", "book", "lamp", "car", "chair", "film", "watch", "meal"]
    asked = [f"Tell me how the {subject} was {when}." for subject in subjects for when in ("today", "last week")]
    pairs = [{"prompt": prompt, "response": REFUSALS[i % 2] if aligned else f"Sure, the {prompt.split()[4]} was good.",
              "label": "aligned" if aligned else "unaligned"} for i, prompt in enumerate(asked) for aligned in (True, False)]
    return {
        "text": write_rows(tmp_path / "text.jsonl", [{"text": f"The {s} was very good and all were kind. " * 6} for s in subjects]),
        "pairs": write_rows(tmp_path / "pairs.jsonl", pairs),
        "train": write_rows(tmp_path / "train.jsonl", [{"prompt": p, "response": REFUSALS[0]} for p in asked]),
        "eval": write_rows(tmp_path / "eval.jsonl", [{"prompt": p, "expected": ("refuse", "comply")[i % 2], "set": "own"}
                                                     for i, p in enumerate(asked[:6])]),
    }
