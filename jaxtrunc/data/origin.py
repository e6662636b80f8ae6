"""Where the rows of a split may come from: the kinds of source, and their strict reading."""

from dataclasses import dataclass, fields

from jaxtrunc.core.errors import InputError
from jaxtrunc.data.keys import Keys


@dataclass(frozen=True)
class FileSource:
    """Rows in a file, or one file per split in a directory; `path` is relative to the task file."""

    path: str


@dataclass(frozen=True)
class HubSource:
    """A data set for the `datasets` library: a hub id or a local directory (relative to the task file)."""

    hub: str
    config: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class TfdsSource:
    """A TensorFlow Datasets builder, such as `civil_comments` or `glue/sst2`, read from array_record files."""

    tfds: str
    data_dir: str | None = None


@dataclass(frozen=True)
class PythonSource:
    """Rows from a function of an installed plug-in, `package.module:function`.

    It is called with the split's name and gives mappings from columns to values.
    """

    python: str


Source = FileSource | HubSource | TfdsSource | PythonSource
KINDS = {"path": FileSource, "hub": HubSource, "tfds": TfdsSource, "python": PythonSource}


def read_source(keys: Keys, *, plugin: bool) -> Source:
    """The key `source` of a task or of a part of a split.

    Args:
      plugin: whether the task comes from an installed plug-in (or with jaxtrunc), which alone may name Python code.
    """
    value = keys.mapping("source")
    named = [kind for kind in KINDS if kind in value]
    if len(named) != 1:
        raise keys.fail("source", "a mapping with exactly one of path, hub, tfds")
    if named == ["python"] and not plugin:
        raise InputError(f"{keys.where}: 'source' names Python code, which only the entry point of an installed plug-in may do; "
                         "give path, hub or tfds")
    kind = KINDS[named[0]]
    known = [field.name for field in fields(kind)]
    part = Keys(value, f"{keys.where}, source", known)
    return kind(**{name: part.text(name) if name == named[0] else part.text(name, None) for name in known})
