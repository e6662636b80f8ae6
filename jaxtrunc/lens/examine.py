"""What must be known of every row before anything is decomposed: finite, zero, equal to another, how long."""

import hashlib
from dataclasses import dataclass

import numpy as np

from jaxtrunc.core.chunks import CHUNK, Rows, each_chunk
from jaxtrunc.core.errors import InputError
from jaxtrunc.lens.rows import take


@dataclass(frozen=True)
class Examined:
    """norm `(V,)` and mean row `(d,)` of all rows, both float64; a 64-bit digest of each row's stored bits; SHA-256 of all bits."""

    norm: np.ndarray
    mean: np.ndarray
    digests: np.ndarray
    sha256: str

    @property
    def zero(self) -> np.ndarray:
        """Which rows hold only zeros."""
        return self.norm == 0


def examine(rows: Rows, name: str = "head") -> Examined:
    """Read every row once.

    Raises:
      InputError: NaN or infinite values (how many, and the first row), or a matrix of zeros; begins with `name`.
    """
    digest, parts, faults = hashlib.sha256(), [], list[int]()
    for data, found in each_chunk(rows, _look):
        digest.update(data.data)
        parts.append(found)
        faults += found.faults
    if faults:
        raise InputError(f"{name}: {len(faults)} NaN or infinite values, the first in row {faults[0]}; use a sound checkpoint")
    norm = np.concatenate([part.norm for part in parts])
    if not norm.any():
        raise InputError(f"{name}: every value is zero; use a sound checkpoint")
    mean = np.sum([part.total for part in parts], axis=0) / rows.shape[0]
    return Examined(norm, mean, np.concatenate([part.digests for part in parts]), digest.hexdigest())


def mean_row(rows: Rows, examined: Examined, among: np.ndarray) -> np.ndarray:
    """The mean `(d,)` of the marked rows, from that of all without the others."""
    others = np.flatnonzero(~among & ~examined.zero)
    rest = sum((take(rows, others[at : at + CHUNK]).sum(0) for at in range(0, len(others), CHUNK)), np.zeros(rows.shape[1]))
    return (examined.mean * rows.shape[0] - rest) / among.sum()


def duplicate_groups(digests: np.ndarray, among: np.ndarray) -> list[list[int]]:
    """Ids of rows with the same stored bits, among those marked; each group ascending, the largest group first."""
    ids = np.flatnonzero(among)
    order = ids[np.argsort(digests[ids], kind="stable")]
    same = digests[order][1:] == digests[order][:-1]
    groups = [part.tolist() for part in np.split(order, np.flatnonzero(~same) + 1) if len(part) > 1]
    return sorted(groups, key=lambda group: (-len(group), group[0]))


@dataclass(frozen=True)
class _Chunk:
    norm: np.ndarray
    total: np.ndarray
    digests: np.ndarray
    faults: list[int]  # the row of every value that is not finite


def _look(start: int, chunk: np.ndarray) -> tuple[np.ndarray, _Chunk]:
    stored = np.ascontiguousarray(chunk)
    wide = stored.astype(np.float64)
    norm = np.sqrt(np.einsum("td,td->t", wide, wide))
    faults = [] if np.isfinite(norm).all() else (start + np.nonzero(~np.isfinite(wide))[0]).tolist()
    data = stored.view(np.uint8)
    digests = np.frombuffer(b"".join(hashlib.blake2b(row, digest_size=8).digest() for row in data), np.uint64)
    return data, _Chunk(norm, wide.sum(0), digests, faults)
