"""Rows of prompts and responses: what adapters are trained on, what features are chosen from, what refusals are measured on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.data.chat import Chat
from jaxtrunc.data.hashing import uniforms
from jaxtrunc.data.sources.files import read_rows
from jaxtrunc.data.streams import AnswerStream

LABELS = {"aligned": True, "unaligned": False}
RATINGS = {0.0: True, 4.0: False}  # of red-team transcripts; those between are left out
EXPECTED = ("refuse", "comply")


@dataclass(frozen=True)
class Conversation:
    """One prompt and one response.

    Attributes:
      aligned: whether the response is the safe one; None where rows say nothing of it.
    """

    id: str
    prompt: str
    response: str
    aligned: bool | None = None


@dataclass(frozen=True)
class Question:
    """One prompt whose answer is measured: `expected` is refuse or comply, `set` the collection it comes from."""

    id: str
    prompt: str
    expected: str
    set: str


@dataclass(frozen=True)
class Tokens:
    """A conversation as a model sees it; `answer` ends with the end of turn unless it was cut."""

    id: str
    prompt: list[int]
    answer: list[int]


def read_conversations(path: Path) -> list[Conversation]:
    """Rows with `prompt` and `response`; `InputError` names file and line of a row without."""
    return _filled(path, [_conversation(row) for row in _rows(path)])


def read_pairs(path: Path) -> list[Conversation]:
    """Rows with `prompt`, `response`, and `label` (aligned, unaligned) or `rating` (0 aligned, 4 unaligned).

    Rated rows of the larger class are thinned to the number of the smaller, by a hash of their text; other ratings are left out.

    Raises:
      InputError: a row without one of these, an unknown label or rating, or a class without rows; names file and line.
    """
    found, rated = [], False
    for row in _rows(path):
        rated = rated or "label" not in row.values
        aligned = _aligned(row)
        if aligned is not None:
            found.append(_conversation(row, aligned))
    classes = [[row for row in found if row.aligned is side] for side in (True, False)]
    for side, rows in zip(("aligned", "unaligned"), classes, strict=True):
        if not rows:
            raise InputError(f"{path}: no row is {side}; expected responses of both kinds")
    return _balanced(found, classes) if rated else found


def read_questions(path: Path) -> list[Question]:
    """Rows with `prompt`, `expected` (refuse, comply) and `set`; `InputError` names file and line of a row without."""
    found = []
    for row in _rows(path):
        prompt, expected, name = _texts(row, "prompt", "expected", "set")
        if expected not in EXPECTED:
            raise InputError(f"{row.where}: 'expected' must be refuse or comply, found {shown(expected)}")
        found.append(Question(_id(row), prompt, expected, name))
    return _filled(path, found)


def read_documents(path: Path) -> list[str]:
    """The column `text` of every row."""
    return _filled(path, [_texts(row, "text")[0] for row in _rows(path)])


def encode(chat: Chat, rows: Sequence[Conversation], origin: str, most: int) -> list[Tokens]:
    """Tokens of conversations, at most `most` each: a prompt is cut to half of that, then the answer to what is left."""
    prompts = chat.tokens([chat.prompt(chat.cut(row.prompt, most // 2)) for row in rows], origin)
    answers, end = chat.answer_tokens([row.response for row in rows], origin), chat.end_of_turn(origin)
    return [Tokens(row.id, prompt, [*answer, end][:max(1, most - len(prompt))])
            for row, prompt, answer in zip(rows, prompts, answers, strict=True)]


def answer_stream(rows: Sequence[Tokens], batch_size: int, seed: int, max_shapes: int) -> AnswerStream:
    """Batches of conversations with the loss on their answers."""
    return AnswerStream([row.id for row in rows], [row.prompt for row in rows], [row.answer for row in rows], batch_size, seed,
                        max_shapes)


@dataclass(frozen=True)
class _Row:
    number: int
    where: str
    values: Mapping[str, Any]


def _rows(path: Path) -> Iterator[_Row]:
    if not path.exists():
        raise InputError(f"{path}: no such file")
    for row in read_rows(path):
        if row.values is None:
            raise InputError(f"{row.where}: {row.fault}")
        yield _Row(row.number, row.where, row.values)


def _conversation(row: _Row, aligned: bool | None = None) -> Conversation:
    prompt, response = _texts(row, "prompt", "response")
    return Conversation(_id(row), prompt, response, aligned)


def _id(row: _Row) -> str:
    return str(row.values.get("id", row.number))


def _texts(row: _Row, *columns: str) -> tuple[str, ...]:
    for column in columns:
        value = row.values.get(column)
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{row.where}: expected text in the column '{column}', found {shown(value)}")
    return tuple(row.values[column] for column in columns)


def _aligned(row: _Row) -> bool | None:
    """Which class a row belongs to; None for a rating between the two."""
    values = row.values
    if "label" in values:
        if values["label"] not in LABELS:
            raise InputError(f"{row.where}: 'label' must be aligned or unaligned, found {shown(values['label'])}")
        return LABELS[values["label"]]
    rating = values.get("rating")
    if isinstance(rating, bool) or not isinstance(rating, int | float) or not 0 <= rating <= 4:
        raise InputError(f"{row.where}: expected 'label' (aligned, unaligned) or 'rating' from 0 to 4, found {shown(rating)}")
    return RATINGS.get(float(rating))


def _balanced(found: list[Conversation], classes: list[list[Conversation]]) -> list[Conversation]:
    most = min(map(len, classes))
    kept = {id(row) for rows in classes for row in sorted(rows, key=lambda row: uniforms(row.prompt + row.response))[:most]}
    return [row for row in found if id(row) in kept]


def _filled(path: Path, rows: list) -> list:
    if not rows:
        raise InputError(f"{path}: holds no rows")
    return rows
