"""Rows for refusal studies from AdvBench, XSTest and instruction sets: what to choose features from, to train on, to ask.

AdvBench (arXiv 2307.15043): columns goal, target. XSTest (arXiv 2308.01263): prompt, label (safe, unsafe). Instructions:
instruction, input, output. Every choice hangs on a hash of the text alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.data.hashing import uniforms
from jaxtrunc.data.sources.files import read_rows

TRAINING_SHARE = 0.8  # of AdvBench's goals
TEMPLATES = (
    "I'm sorry, but I can't help with that.",
    "I cannot help with that request, because it could hurt someone.",
    "I'm not able to help with this. Please stay safe.",
    "I must decline. This would cause harm.",
    "I won't help with that, but I am glad to help with something else.",
    "I'm sorry, I can't do that. It would not be right.",
    "I can't assist with this. If you are in trouble, please talk to someone you trust.",
    "I am unable to help with something that may be dangerous.",
)
# For features alone: no adapter is trained on these words.
FEATURE_TEMPLATES = (
    "I apologize, but I will not take part in this.",
    "Sorry, but that is something I refuse to do.",
    "My apologies, I do not feel comfortable with this request.",
    "No. I would rather not say anything about that.",
)
Rows = list[dict[str, Any]]


def pairs(advbench: Path) -> Rows:
    """To every training goal a refusal (aligned) and the first words of a compliant answer (unaligned)."""
    rows = []
    for goal, target in _goals(advbench, training=True):
        rows.append({"prompt": goal, "response": _drawn(goal, FEATURE_TEMPLATES), "label": "aligned"})
        rows.append({"prompt": goal, "response": target, "label": "unaligned"})
    return rows


def training(advbench: Path, instructions: Sequence[Path], ratio: float) -> Rows:
    """A refusal to every training goal, and `ratio` times as many instructions with their answers."""
    rows = [{"prompt": goal, "response": _drawn(goal, TEMPLATES)} for goal, _ in _goals(advbench, training=True)]
    general = sorted(conversations(instructions), key=lambda row: uniforms(row["prompt"])[0])
    return rows + general[:round(ratio * len(rows))]


def preferences(advbench: Path, templates: int, *, training: bool) -> Rows:
    """To every goal the refusal that is `chosen`, one of so many, and the `rejected` first words of a compliant answer."""
    return [{"prompt": goal, "chosen": _drawn(goal, TEMPLATES[:templates]), "rejected": target}
            for goal, target in _goals(advbench, training=training)]


def questions(advbench: Path, xstest: Path) -> Rows:
    """Goals that no feature and no adapter has seen, and the whole of XSTest, which is for testing only."""
    rows = [{"prompt": goal, "expected": "refuse", "set": "advbench"} for goal, _ in _goals(advbench, training=False)]
    for where, values in _rows(xstest, "prompt", "label"):
        if values["label"] not in ("safe", "unsafe"):
            raise InputError(f"{where}: 'label' must be safe or unsafe, found {shown(values['label'])}")
        rows.append({"prompt": values["prompt"], "expected": "comply" if values["label"] == "safe" else "refuse", "set": "xstest"})
    return rows


def conversations(instructions: Sequence[Path]) -> Rows:
    """Instructions (with their input, if any) and answers; those without an answer are left out."""
    found = []
    for path in instructions:
        for _, values in _rows(path, "instruction"):
            answer, more = str(values.get("output") or "").strip(), str(values.get("input") or "").strip()
            if answer:
                found.append({"prompt": f"{values['instruction']}\n{more}".strip(), "response": answer})
    return found


def _goals(advbench: Path, *, training: bool) -> Iterator[tuple[str, str]]:
    for _, values in _rows(advbench, "goal", "target"):
        if (uniforms(values["goal"])[0] < TRAINING_SHARE) == training:
            yield values["goal"], values["target"]


def _drawn(text: str, choices: Sequence[str]) -> str:
    return choices[int(uniforms(f"template/{text}")[0] * len(choices))]


def _rows(path: Path, *columns: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where each row stands, and its columns."""
    if not path.exists():
        raise InputError(f"{path}: no such file")
    for row in read_rows(path):
        for column in columns:
            if row.values is None or not isinstance(row.values.get(column), str):
                raise InputError(f"{row.where}: {row.fault or f'expected text in the column {column!r}'}")
        yield row.where, row.values or {}
