"""The text of a pre-training run: documents gathered from files, without those of held-out benchmarks."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError, did_you_mean
from jaxtrunc.core.progress import say
from jaxtrunc.data.hashing import uniforms
from jaxtrunc.data.sources.files import read_rows
from jaxtrunc.data.sources.text import text_blocks
from jaxtrunc.recipes.pretrain_config import TextSettings, TextSource

LEAST = 24  # letters and digits; shorter texts ("a good film") are equal by chance


@dataclass(frozen=True)
class Gathered:
    """Files of documents, JSON lines with one column, text: to train on, held out, and for the tokenizer alone."""

    training: Path
    validation: Path
    withheld: Path


def gather(settings: TextSettings, directory: Path, files: Gathered) -> None:
    """Write the documents of a run.

    Which document is held out depends on its text alone, so a text that occurs twice is never on both sides.

    Args:
      settings: the config's section `data`.
      directory: what its paths are relative to.
      files: to write.

    Raises:
      InputError: no file for a path, an unreadable file, a row without a column that `text` names.
    """
    benchmarks = _sentences(path for pattern in settings.exclude for path in _files(pattern, directory))
    kept: dict[Path, list[dict[str, str]]] = {files.training: [], files.validation: [], files.withheld: []}
    dropped = 0
    for source in settings.sources:
        for path in _files(source.path, directory):
            for document, sentences in _documents(path, source):
                if benchmarks.isdisjoint(sentences):
                    kept[_use(document, settings, files)].append({"text": document})
                else:
                    dropped += 1
    apart = f", {len(kept[files.withheld])} for the tokenizer alone" if settings.withheld else ""
    say(f"text: {len(kept[files.training])} documents, {len(kept[files.validation])} more for validation{apart}, {dropped} left "
        "out because a held-out benchmark has them")
    for file, rows in kept.items():
        jsonio.rewrite_lines(file, rows)


def _use(document: str, settings: TextSettings, files: Gathered) -> Path:
    if any(word in document for word in settings.withheld):
        return files.withheld
    return files.training if uniforms(document)[0] >= settings.validation_share else files.validation


def _files(pattern: str, directory: Path) -> list[Path]:
    folder = (directory / pattern).parent
    found = sorted(folder.glob(Path(pattern).name))
    if not found:
        raise InputError(f"data: no file {directory / pattern}; paths are relative to the config file")
    return found


def _documents(path: Path, source: TextSource) -> Iterator[tuple[str, set[str]]]:
    """Each document with the comparable form of every text in its row."""
    if path.name.removesuffix(".gz").endswith(".txt"):
        yield from ((block.strip(), {_comparable(block)}) for block in text_blocks(path))
        return
    for row in read_rows(path):
        if row.values is None:
            raise InputError(f"{row.where}: {row.fault}")
        try:
            document = source.text.format_map(row.values)
        except (KeyError, IndexError, ValueError) as error:
            name = str(error).strip("'")
            raise InputError(f"{row.where}: no column '{name}', which data.sources names in '{source.text}'"
                             f"{did_you_mean(name, row.values)}") from None
        yield document, {_comparable(value) for value in row.values.values() if isinstance(value, str)}


def _sentences(paths: Iterable[Path]) -> set[str]:
    """Every text of the benchmarks' rows, in comparable form."""
    rows = (row.values or {} for path in paths for row in read_rows(path))
    texts = {_comparable(value) for row in rows for value in row.values() if isinstance(value, str)}
    return {text for text in texts if len(text) >= LEAST}


def _comparable(text: str) -> str:
    """Letters and digits alone: copies of a data set differ in case, spaces and quotes."""
    return re.sub(r"[\W_]", "", text.lower())
