"""Where rows come from: one file per kind of source, all giving `Row`s."""

from collections.abc import Iterator

from jaxtrunc.data.origin import FileSource, HubSource, PythonSource
from jaxtrunc.data.parts import Part
from jaxtrunc.data.sources.row import Row
from jaxtrunc.data.task import Task

__all__ = ["Row", "part_rows"]


def part_rows(task: Task, part: Part) -> Iterator[Row]:
    """The rows of one part of a split in the order of the source, before `share` is applied; `InputError` if unreadable."""
    if isinstance(part.source, FileSource):
        from jaxtrunc.data.sources.files import file_rows

        return file_rows(part.source, task, part)
    if isinstance(part.source, HubSource):
        from jaxtrunc.data.sources.hub import hub_rows

        return hub_rows(part.source, task, part)
    if isinstance(part.source, PythonSource):
        from jaxtrunc.data.sources.python import python_rows

        return python_rows(part.source, task, part)
    from jaxtrunc.data.sources.tfds import tfds_rows

    return tfds_rows(part.source, task, part)
