"""Rows from a function of an installed plug-in; no task file but a plug-in's can name one."""

import importlib
from collections.abc import Iterator, Mapping

from jaxtrunc.core.errors import InputError
from jaxtrunc.data.origin import PythonSource
from jaxtrunc.data.parts import Part
from jaxtrunc.data.sources.reason import reason
from jaxtrunc.data.sources.row import Row
from jaxtrunc.data.task import Task


def python_rows(source: PythonSource, task: Task, part: Part) -> Iterator[Row]:
    """What the function gives for the split that `part` names, one mapping per row."""
    if part.split is None:
        raise InputError(f"{task.origin}: with 'source: {{python: …}}' every entry of 'splits' must name a split")
    module, _, name = source.python.partition(":")
    place = f"{source.python} [{part.split}]"
    try:
        rows = list(getattr(importlib.import_module(module), name)(part.split))
    except Exception as error:  # the plug-in's code may raise anything, and all of it means: no rows
        raise InputError(f"{task.origin}: {place} gives no rows ({type(error).__name__}: {reason(error)})") from None
    return (_row(number, f"{place}, row {number}", values) for number, values in enumerate(rows))


def _row(number: int, where: str, values: object) -> Row:
    if not isinstance(values, Mapping):
        return Row(number, where, None, f"expected a mapping from columns to values, found {type(values).__name__}")
    return Row(number, where, values)
