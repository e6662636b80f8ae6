"""Which entries of a task vector a density keeps: exactly so many of the largest, over one tensor or over all of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from jaxtrunc.core.chunks import core_count
from jaxtrunc.merge.vote import kept_count

BITS = 16
"""Of a float32's pattern that are counted at a time: patterns of magnitudes are ordered as the magnitudes are."""

CHUNK = 1 << 18
"""Entries at a time."""

HELD = 1.25
"""Float32 copies of a tensor that finding its threshold holds."""


class Magnitudes:
    """|τ| of one tensor and task, computed anew some entries at a time, flat as stored, float32."""

    def __init__(self, base: np.ndarray, model: np.ndarray):
        self._base, self._model, self.size = base, model, base.size

    def __iter__(self) -> Iterator[np.ndarray]:
        for start in range(0, self.size, CHUNK):
            span = slice(start, start + CHUNK)
            yield np.abs(self._model[span].astype(np.float32) - self._base[span].astype(np.float32))

    def whole(self) -> np.ndarray:
        """All at once."""
        found, start = np.empty(self.size, np.float32), 0
        for part in self:
            found[start:start + part.size] = part
            start += part.size
        return found


Stream = Callable[[], Iterable[tuple[str, Magnitudes]]]


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


def trim_tensor(magnitudes: Magnitudes, density: float) -> Trim:
    """The trim that keeps exactly max(1, ⌊density·N⌋) of N entries."""
    count = kept_count(density, magnitudes.size)
    values = magnitudes.whole()
    values.partition(values.size - count)
    threshold = values[values.size - count]
    wanted = count - int(np.count_nonzero(values[values.size - count:] > threshold))
    equal = int(np.count_nonzero(values == threshold))
    del values
    return Trim(threshold, _cut(magnitudes, threshold, wanted, equal))


def trim_each(tasks: Sequence[Magnitudes], densities: Sequence[float], room: float) -> list[Trim | None]:
    """The trim of one tensor for each task, None where all is kept; `room`: float32 copies of the tensor that may be held."""
    def one(task: int) -> Trim | None:
        return None if densities[task] == 1 else trim_tensor(tasks[task], densities[task])

    with ThreadPoolExecutor(int(np.clip(room / HELD, 1, core_count()))) as pool:
        return list(pool.map(one, range(len(tasks))))


def trim_all(stream: Stream, density: float) -> dict[str, Trim]:
    """The trims of all tensors of one task under one threshold, equal magnitudes being kept in the order of the tensors.

    Args:
      stream: gives every tensor's name and magnitudes anew; it is read three times.
    """
    threshold, left = _threshold(stream, density)
    trims = {}
    for name, magnitudes in stream():
        equal = sum(int(np.count_nonzero(part == threshold)) for part in magnitudes)
        trims[name] = Trim(threshold, _cut(magnitudes, threshold, min(left, equal), equal))
        left -= min(left, equal)
    return trims


def _cut(magnitudes: Magnitudes, threshold: np.float32, wanted: int, equal: int) -> int:
    """Before which entry exactly `wanted` of the `equal` ones lie; of zeros it makes no difference how many are kept."""
    if wanted == equal or threshold == 0:
        return magnitudes.size
    start = 0
    for part in magnitudes:
        found = np.flatnonzero(part == threshold)
        if wanted <= len(found):
            return start + (int(found[wanted - 1]) + 1 if wanted else 0)
        start, wanted = start + part.size, wanted - len(found)
    raise AssertionError("fewer equal magnitudes than were counted")


def _threshold(stream: Stream, density: float) -> tuple[np.float32, int]:
    """The smallest magnitude that is kept, and how many that are equal to it.

    Counted by the upper half of the bits, then the lower.
    """
    upper = _counts(patterns >> BITS for patterns in _patterns(stream))
    count = kept_count(density, int(upper.sum()))
    high, left = _reached(upper, count)
    lower = _counts(patterns[patterns >> BITS == high] & (1 << BITS) - 1 for patterns in _patterns(stream))
    low, left = _reached(lower, left)
    return np.uint32(high << BITS | low).view(np.float32), left


def _patterns(stream: Stream) -> Iterator[np.ndarray]:
    """Bit patterns, some at a time."""
    for _, magnitudes in stream():
        for part in magnitudes:
            yield part.view(np.uint32)


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
