"""A task by what a person types: a path, the name of a built-in benchmark, or the name of one that a plug-in brings.

A plug-in is an installed package with an entry point in the group `jaxtrunc.benchmarks`. The entry point is the mapping that
a task file would hold, or the path of a task file (relative to the module), or a function without arguments that returns
either. Such a task and a built-in one alone may name Python code as their source.
"""

import re
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from jaxtrunc.core.errors import InputError, did_you_mean
from jaxtrunc.data.sources.reason import reason
from jaxtrunc.data.task import Task, read_task

BUILT_IN = Path(__file__).parent / "benchmarks"
GROUP = "jaxtrunc.benchmarks"


def find_task(ref: Path | str | Mapping[str, Any], directory: Path) -> Task:
    """Read the task that `ref` stands for.

    Args:
      ref: a path as it was typed; or, in a config, a path relative to `directory`; or a name; or the task itself.
      directory: what relative paths inside an inline task or a built-in benchmark start from.

    Raises:
      InputError: neither a file nor a known name (the nearest one is given), a plug-in that fails, or a fault of the task.
    """
    if isinstance(ref, Mapping):
        return read_task(ref, directory)
    path, name = (directory / ref if isinstance(ref, str) else ref), str(ref)
    if path.exists() or not re.fullmatch(r"[\w-]+", name):
        return read_task(path)
    if (BUILT_IN / f"{name}.yaml").is_file():
        return read_task(BUILT_IN / f"{name}.yaml", directory, plugin=f"built-in benchmark '{name}'")
    plugins = entry_points(group=GROUP)
    found = [entry for entry in plugins if entry.name == name]
    if not found:
        known = [*built_in_names(), *plugins.names]
        raise InputError(f"task '{name}': there is no file {path}, and no built-in benchmark or plug-in of that name"
                         f"{did_you_mean(name, known)}")
    if len(found) > 1:
        raise InputError(f"task '{name}': several plug-ins bring it ({', '.join(map(_package, found))}); uninstall all but one")
    return _plugin_task(found[0])


def built_in_names() -> list[str]:
    """The benchmarks that come with jaxtrunc."""
    return sorted(file.stem for file in BUILT_IN.glob("*.yaml"))


def _plugin_task(entry: EntryPoint) -> Task:
    where = f"benchmark '{entry.name}' of the plug-in {_package(entry)}"
    try:
        value = entry.load()
        value = value() if callable(value) else value
    except Exception as error:  # the plug-in's code may raise anything, and all of it means: no task
        raise InputError(f"{where}: {entry.value} fails ({type(error).__name__}: {reason(error)})") from None
    folder = Path(sys.modules[entry.module].__file__ or "").parent
    if isinstance(value, Mapping):
        return read_task(value, folder, plugin=where)
    if isinstance(value, str | Path):
        return read_task(folder / value, plugin=where)
    raise InputError(f"{where}: {entry.value} must give a mapping or the path of a YAML file, found {type(value).__name__}")


def _package(entry: EntryPoint) -> str:
    return entry.module if entry.dist is None else entry.dist.name
