"""Rows in files: the format by the name's ending, one file for all splits or one file per split."""

from collections.abc import Callable, Iterator
from pathlib import Path

from jaxtrunc.core.errors import InputError, did_you_mean
from jaxtrunc.data.origin import FileSource
from jaxtrunc.data.parts import Part
from jaxtrunc.data.sources.delimited import csv_rows, tsv_rows
from jaxtrunc.data.sources.jsonl import jsonl_rows
from jaxtrunc.data.sources.parquet import parquet_rows
from jaxtrunc.data.sources.row import Row
from jaxtrunc.data.task import Task

FORMATS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": jsonl_rows, ".csv": csv_rows, ".tsv": tsv_rows, ".txt": tsv_rows, ".parquet": parquet_rows,
}
SPLIT_COLUMN = "split"


def file_rows(source: FileSource, task: Task, part: Part) -> Iterator[Row]:
    """Rows of one split: of the file it names in a directory, or those whose column `split` has its value."""
    path = task.directory / source.path
    if path.is_dir():
        return read_rows(_member(path, part, task))
    if not path.exists():
        raise InputError(f"{task.origin}: 'source' names {path}, which does not exist")
    return _with_split(path, part)


def read_rows(path: Path) -> Iterator[Row]:
    ending = path.name.removesuffix(".gz")
    for suffix, reader in FORMATS.items():
        if ending.endswith(suffix):
            return reader(path)
    raise InputError(f"{path}: rows are read from files that end in {', '.join(FORMATS)} (each also .gz)")


def _member(directory: Path, part: Part, task: Task) -> Path:
    """The file of a split; it must lie inside the directory."""
    if part.split is None:
        raise InputError(f"{task.origin}: 'source' is a directory, so every entry of 'splits' must name a file in it")
    path = directory / part.split
    if not path.resolve().is_relative_to(directory.resolve()):
        raise InputError(f"{task.origin}: 'splits' names {part.split}, which is outside {directory}")
    if not path.is_file():
        names = sorted(file.name for file in directory.iterdir() if file.is_file())
        raise InputError(f"{task.origin}: 'splits' names {part.split}, which is not a file in {directory}"
                         f"{did_you_mean(part.split, names)}")
    return path


def _with_split(path: Path, part: Part) -> Iterator[Row]:
    for row in read_rows(path):
        if part.split is not None and row.values is not None:
            if SPLIT_COLUMN not in row.values:
                raise InputError(f"{row.where}: no column '{SPLIT_COLUMN}'; add one, name a directory with one file "
                                 "per split, or cut this file in the task with 'splits: {train: {share: [0, 0.8]}, …}'")
            if str(row.values[SPLIT_COLUMN]) != part.split:
                continue
        yield row
