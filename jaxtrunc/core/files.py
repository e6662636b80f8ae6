"""Build beside, rename into place: nothing half-written ever looks finished, and nothing is overwritten unasked."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jaxtrunc.core.errors import InputError


def staging_name(final: Path) -> Path:
    """Where `final` is built: a hidden sibling, so that the rename stays on one file system."""
    return final.with_name(f".{final.name}.staged")


def publish(staged: Path, final: Path) -> None:
    """Push a finished directory to the disk, then rename it into place, replacing an older `final` only now."""
    for path in (*staged.rglob("*"), staged):
        push_to_disk(path)
    older = final.with_name(f".{final.name}.older")
    shutil.rmtree(older, ignore_errors=True)
    if final.exists():
        os.replace(final, older)
    os.replace(staged, final)
    push_to_disk(final.parent)
    shutil.rmtree(older, ignore_errors=True)


def push_to_disk(path: Path) -> None:
    """What a file or directory holds survives a loss of power from here on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def refuse_taken(directory: Path) -> None:
    """Raise `InputError` unless `directory` is free to write: absent, or an empty directory."""
    refuse_below_file(directory)
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise InputError(f"{directory}: is a link, file or device, which a directory would replace; choose another --out-path")
    if directory.is_dir() and any(directory.iterdir()):
        raise InputError(f"{directory}: exists and is not empty; nothing is overwritten, choose another --out-path")


def refuse_below_file(directory: Path) -> None:
    """Raise `InputError` if what `directory` would lie in is a file."""
    above = next((parent for parent in directory.absolute().parents if parent.exists()), Path("/"))
    if not above.is_dir():
        raise InputError(f"{directory}: cannot be made, since {above} is a file; choose another --out-path")


@contextmanager
def naming(directory: Path) -> Iterator[None]:
    """An error of the system that names no file gets the name of the directory.

    Libraries wrap a full disk in errors of their own; it becomes an OSError again.
    """
    full = os.strerror(errno.ENOSPC)
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(directory)
        raise
    except Exception as error:
        if full not in str(error):
            raise
        raise OSError(errno.ENOSPC, full, str(directory)) from error


@contextmanager
def new_directory(final: Path) -> Iterator[Path]:
    """A directory to write into that becomes `final` only if the block succeeds; `InputError` if `final` is taken."""
    refuse_taken(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    staged = staging_name(final)
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    try:
        with naming(final):
            yield staged
            if final.is_dir():
                final.rmdir()
            publish(staged, final)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
