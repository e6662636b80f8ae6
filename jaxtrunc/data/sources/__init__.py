"""Where rows come from: one file per kind of source, all giving `Row`s."""

from collections.abc import Iterator

from jaxtrunc.data.sources.row import Row
from jaxtrunc.data.task import FileSource, HubSource, SplitRule, Task

__all__ = ["Row", "split_rows"]


def split_rows(task: Task, rule: SplitRule) -> Iterator[Row]:
    """The rows of one split in the order of the source, before `share` is applied; `InputError` if unreadable."""
    if isinstance(task.source, FileSource):
        from jaxtrunc.data.sources.files import file_rows

        return file_rows(task.source, task, rule)
    if isinstance(task.source, HubSource):
        from jaxtrunc.data.sources.hub import hub_rows

        return hub_rows(task.source, task, rule)
    from jaxtrunc.data.sources.tfds import tfds_rows

    return tfds_rows(task.source, task, rule)
