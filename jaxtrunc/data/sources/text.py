"""Lines of text files, plain or gzip: of bounded length, from a bounded expansion, with errors that name the file."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from jaxtrunc.core.bounded import require_file
from jaxtrunc.core.errors import InputError

MAX_LINE = 1 << 24  # characters; the longest book is a fifth of it
MAX_EXPANSION = 200  # gzip can reach 1032, rows of text stay below 50
FREE_BYTES = 1 << 23  # what a file may unpack to whatever its expansion


def text_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 text file (a byte-order mark is skipped), unpacked if its name ends in `.gz`.

    Raises:
      InputError: not a regular file, not UTF-8, a damaged or exploding gzip file, a NUL character, a line over 16 MiB.
    """
    with open_bytes(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
        number = 0
        while line := file.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise InputError(f"{path}, line {number}: over {MAX_LINE} characters; one row must be one line")
            if "\0" in line:
                raise InputError(f"{path}, line {number}: holds a NUL character, so it is no text")
            yield line


def text_blocks(path: Path) -> Iterator[str]:
    """The blocks of lines between blank lines, without the line break at their end; as `text_lines` otherwise."""
    block: list[str] = []
    for line in text_lines(path):
        if line.strip():
            block.append(line.replace("\r\n", "\n"))
        elif block:
            yield "".join(block).strip("\n")
            block = []
    if block:
        yield "".join(block).strip("\n")


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """A file to read bytes from, unpacked if its name ends in `.gz`; what goes wrong in the block is an `InputError`."""
    require_file(path)
    try:
        with open(path, "rb") as packed:
            if path.suffix == ".gz":
                with gzip.GzipFile(fileobj=packed) as unpacked:
                    yield cast(BinaryIO, _Guarded(unpacked, packed, path))
            else:
                yield packed
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start} of a block)") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: damaged gzip file ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


class _Guarded(io.BufferedIOBase):
    """A gzip file that stops where it unpacks to more than text can."""

    def __init__(self, unpacked: gzip.GzipFile, packed: BinaryIO, path: Path) -> None:
        self._unpacked, self._packed, self._path = unpacked, packed, path

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        parts = []
        while size is None or size < 0:
            part = self.read1(1 << 20)
            if not part:
                return b"".join(parts)
            parts.append(part)
        return self._checked(self._unpacked.read(size))

    def read1(self, size: int = -1) -> bytes:
        return self._checked(self._unpacked.read1(size))

    def _checked(self, part: bytes) -> bytes:
        position = self._unpacked.tell()
        if position > max(FREE_BYTES, MAX_EXPANSION * self._packed.tell()):
            raise InputError(f"{self._path}: unpacks to over {MAX_EXPANSION} times its size; give it unpacked if it is sound")
        return part
