"""Data sets of the `datasets` library: a hub id, or a local directory that it wrote or can read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxtrunc.core.errors import InputError
from jaxtrunc.data.origin import HubSource
from jaxtrunc.data.parts import Part
from jaxtrunc.data.sources.reason import reason
from jaxtrunc.data.sources.row import Row
from jaxtrunc.data.task import Task


def hub_rows(source: HubSource, task: Task, part: Part) -> Iterator[Row]:
    """Rows of the split that `part` names; the whole string is first tried as a directory."""
    if part.split is None:
        raise InputError(f"{task.origin}: with 'source: {{hub: …}}' every entry of 'splits' must name a split")
    directory = task.directory / source.hub
    place = f"{source.hub} [{part.split}]"
    try:
        table = _load(source, directory, part.split)
    except Exception as error:  # the library raises many kinds, and all of them mean: this source cannot be read
        raise InputError(f"{task.origin}: the data set {place} cannot be loaded ({reason(error)})") from None
    return (Row(number, f"{place}, row {number}", values) for number, values in enumerate(table))


def _load(source: HubSource, directory: Path, split: str) -> Any:
    import datasets

    if (directory / "dataset_dict.json").is_file():
        return datasets.load_from_disk(str(directory))[split]
    name = str(directory) if directory.is_dir() else source.hub
    return datasets.load_dataset(name, source.config, split=split, revision=source.revision)
