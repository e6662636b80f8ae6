"""The rows of a run: files that the config names, or RUN/data made from public sets."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.rundir import RunDir, sha256
from jaxtrunc.data import refusal_rows
from jaxtrunc.data.chat import Chat
from jaxtrunc.data.conversations import read_documents
from jaxtrunc.recipes.sae.config import RefusalSources, SaeData

DATA = "data"


@dataclass(frozen=True)
class RowFiles:
    """What each stage reads."""

    documents: tuple[str, ...]
    pairs: Path
    train: Path
    questions: Path


def open_rows(data: SaeData, directory: Path, run: RunDir, chat: Chat) -> RowFiles:
    """Read or make the rows; `directory` is what paths are relative to.

    Raises:
      InputError: neither sources nor files are given, or both; a file cannot be read.
    """
    documents = [document for path in data.text for document in read_documents(directory / path)]
    given = (data.pairs, data.train, data.questions)
    if data.refusals is None:
        if None in given:
            raise InputError("data: expected pairs, train and questions, or refusals that they are made from")
        pairs, train, questions = (directory / str(path) for path in given)
        return RowFiles(tuple(documents), pairs, train, questions)
    if any(given):
        raise InputError("data: pairs, train and questions are made from refusals; leave out one or the other")
    made = _made(data.refusals, directory, run)
    return dataclasses.replace(made, documents=(*documents, *_said(chat, made, data.refusals, directory)))


def _made(sources: RefusalSources, directory: Path, run: RunDir) -> RowFiles:
    """RUN/data/{pairs,train,questions}.jsonl; what is there already is kept, for it is made from the same files."""
    advbench, xstest = directory / sources.advbench, directory / sources.xstest
    instructions = _files(sources.instructions, directory)
    tables = {"pairs": refusal_rows.pairs(advbench), "train": refusal_rows.training(advbench, instructions, sources.ratio),
              "questions": refusal_rows.questions(advbench, xstest)}
    origin = {str(path.name): sha256(path) for path in (advbench, xstest, *instructions)}
    with run.lock():
        run.begin("sae data", DATA, {"files": origin, "ratio": sources.ratio}, resume=True, fixed=("files", "ratio"))
        if not run.is_finished(DATA):
            with run.stage(DATA) as staged:
                for name, rows in tables.items():
                    jsonio.rewrite_lines(staged / f"{name}.jsonl", rows)
    return RowFiles((), *(run / f"{DATA}/{name}.jsonl" for name in ("pairs", "train", "questions")))


def _said(chat: Chat, made: RowFiles, sources: RefusalSources, directory: Path) -> list[str]:
    """Conversations as the model reads them, so that an autoencoder has seen what features are chosen from."""
    rows = [*jsonio.read_lines(made.pairs), *refusal_rows.conversations(_files(sources.instructions, directory))]
    return [chat.prompt(row["prompt"]) + chat.lead + row["response"] for row in rows]


def _files(patterns: Sequence[str], directory: Path) -> list[Path]:
    return [directory / pattern for pattern in patterns]
