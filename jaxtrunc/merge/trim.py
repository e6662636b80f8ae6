"""Which entries of a task vector a density keeps: exactly so many of the largest, over one tensor or over all of them."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from jaxtrunc.core.chunks import core_count
from jaxtrunc.merge.vote import kept_count

BITS = 16
"""Of a float32's pattern that are counted at a time: patterns of magnitudes are ordered as the magnitudes are."""

AT_ONCE = 2
"""Tasks whose magnitudes are held at the same time."""


@dataclass(frozen=True)
class Trim:
    """Kept are magnitudes above `threshold`, and those equal to it that lie before `cut` (row-major, as stored)."""

    threshold: np.float32
    cut: int

    def keeps(self, magnitudes: np.ndarray, start: int) -> np.ndarray:
        """Which of the entries from number `start` on are kept, bool."""
        kept = magnitudes > self.threshold
        if self.cut > start:
            equal = magnitudes == self.threshold
            equal[max(self.cut - start, 0):] = False
            kept |= equal
        return kept


def trim_tensor(magnitudes: np.ndarray, density: float) -> Trim:
    """The trim that keeps exactly max(1, ⌊density·N⌋) of N float32 magnitudes; it costs one copy of them."""
    count = kept_count(density, magnitudes.size)
    ordered = np.partition(magnitudes, magnitudes.size - count)[magnitudes.size - count:]
    threshold = ordered[0]
    return Trim(threshold, _cut(magnitudes, threshold, count - int(np.count_nonzero(ordered > threshold))))


def trim_each(magnitudes: Callable[[int], np.ndarray], densities: tuple[float, ...]) -> list[Trim | None]:
    """The trim of one tensor for each task; None where all is kept. `magnitudes(t)` is flat and float32."""
    def one(task: int) -> Trim | None:
        return None if densities[task] == 1 else trim_tensor(magnitudes(task), densities[task])

    with ThreadPoolExecutor(min(AT_ONCE, core_count())) as pool:
        return list(pool.map(one, range(len(densities))))


def trim_all(stream: Callable[[], Iterable[tuple[str, np.ndarray]]], density: float) -> dict[str, Trim]:
    """The trims of all tensors of one task under one threshold, equal magnitudes being kept in the order of the tensors.

    Args:
      stream: gives every tensor's name and its flat float32 magnitudes anew; it is read three times.
    """
    threshold, left = _threshold(stream, density)
    trims = {}
    for name, magnitudes in stream():
        equal = int(np.count_nonzero(magnitudes == threshold))
        trims[name] = Trim(threshold, _cut(magnitudes, threshold, min(left, equal)))
        left -= min(left, equal)
    return trims


def _cut(magnitudes: np.ndarray, threshold: np.float32, wanted: int) -> int:
    """Before which entry exactly `wanted` are equal to the threshold; of zeros it makes no difference how many are kept."""
    if threshold == 0:
        return magnitudes.size
    return int(np.flatnonzero(magnitudes == threshold)[wanted - 1]) + 1 if wanted else 0


def _threshold(stream: Callable[[], Iterable[tuple[str, np.ndarray]]], density: float) -> tuple[np.float32, int]:
    """The smallest magnitude that is kept, and how many that are equal to it.

    Counted by the upper half of the bits, then the lower.
    """
    upper = _counts(patterns >> BITS for patterns in _patterns(stream))
    count = kept_count(density, int(upper.sum()))
    high, left = _reached(upper, count)
    lower = _counts(patterns[patterns >> BITS == high] & (1 << BITS) - 1 for patterns in _patterns(stream))
    low, left = _reached(lower, left)
    return np.uint32(high << BITS | low).view(np.float32), left


def _patterns(stream: Callable[[], Iterable[tuple[str, np.ndarray]]]) -> Iterator[np.ndarray]:
    """Bit patterns, some at a time."""
    for _, magnitudes in stream():
        for start in range(0, magnitudes.size, 1 << 18):
            yield magnitudes[start:start + (1 << 18)].view(np.uint32)


def _counts(parts: Iterable[np.ndarray]) -> np.ndarray:
    total = np.zeros(1 << BITS, np.int64)
    for part in parts:
        total += np.bincount(part, minlength=1 << BITS)
    return total


def _reached(counts: np.ndarray, wanted: int) -> tuple[int, int]:
    """The bin in which the `wanted`-th from the top lies, and which it is in there."""
    above = np.cumsum(counts[::-1])
    place = int(np.searchsorted(above, wanted))
    return len(counts) - 1 - place, wanted - int(above[place - 1] if place else 0)
