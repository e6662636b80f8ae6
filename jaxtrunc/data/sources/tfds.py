"""TensorFlow Datasets, read from array_record files as a Python data source; TensorFlow is never imported."""

from collections.abc import Iterator
from typing import Any

from jaxtrunc.core.errors import InputError
from jaxtrunc.data.origin import TfdsSource
from jaxtrunc.data.parts import Part
from jaxtrunc.data.sources.reason import reason
from jaxtrunc.data.sources.row import Row
from jaxtrunc.data.task import Task


def tfds_rows(source: TfdsSource, task: Task, part: Part) -> Iterator[Row]:
    """Rows of the split that `part` names; bytes become text. A data set that is not prepared yet is downloaded."""
    if part.split is None:
        raise InputError(f"{task.origin}: with 'source: {{tfds: …}}' every entry of 'splits' must name a split")
    place = f"{source.tfds} [{part.split}]"
    try:
        records = _open(source, task, part.split)
    except Exception as error:  # the library raises many kinds, and all of them mean: this source cannot be read
        raise InputError(f"{task.origin}: the TFDS data set {place} cannot be loaded ({reason(error)})") from None
    return (Row(number, f"{place}, row {number}", _decoded(values)) for number, values in enumerate(records))


def _open(source: TfdsSource, task: Task, split: str) -> Any:
    import tensorflow_datasets as tfds
    import tensorflow_datasets.text

    data_dir = None if source.data_dir is None else str(task.directory / source.data_dir)
    builder = tfds.builder(source.tfds, data_dir=data_dir, file_format="array_record")
    if not builder.is_prepared():
        builder.download_and_prepare()
    return builder.as_data_source(split)  # pyright: ignore[reportCallIssue]  (a decorator hides its signature)


def _decoded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value.decode("utf-8") if isinstance(value, bytes) else value for name, value in values.items()}
