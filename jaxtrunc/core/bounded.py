"""Reading whole text files that nobody vouches for: regular files of bounded size, in UTF-8."""

from pathlib import Path

from jaxtrunc.core.errors import InputError

MAX_BYTES = 1 << 26  # the index of a trillion parameters and the results of a thousand levels take a third of it


def read_text(path: Path, most: int = MAX_BYTES) -> str:
    """The text of a file.

    Raises:
      InputError: no such file, not a regular file (a pipe would block for ever), over `most` bytes, not UTF-8.
    """
    try:
        require_file(path)
        if path.stat().st_size > most:
            raise InputError(f"{path}: {path.stat().st_size} bytes, expected at most {most}")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def require_file(path: Path) -> None:
    """Raise `InputError` unless `path` is a regular file."""
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if not path.is_file():
        raise InputError(f"{path}: expected a file, found a directory, pipe or device")
