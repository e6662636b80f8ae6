"""How the fuzz tests run: the same examples everywhere, no deadline, no files kept."""

import math
from functools import partial
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

bounded = partial(settings, deadline=None, derandomize=True, database=None,
                  suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip

NUMBERS = st.sampled_from(
    [0, 1, 2, 3, 4, 8, -1, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64, 2**64 - 1, 10**30, True, 1.0, 1.5, None, "1"]
)
NAMES = st.one_of(
    st.sampled_from(["a", "b", "__metadata__", "", "x" * 300, "é", "a\nb", "\0", "\ud800", "💩"]), st.text(max_size=4)
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), NAMES),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)), max_leaves=8)  # fmt: skip


def laid_out(shapes: list[list[int]], sizes: list[int]) -> list[list[int]]:
    """Offsets of tensors one after the other."""
    position, offsets = 0, []
    for shape, size in zip(shapes, sizes, strict=True):
        offsets.append([position, position + math.prod(shape) * size])
        position = offsets[-1][1]
    return offsets


def replaced(value: Any, path: list, new: Any) -> Any:
    """`value` with what lies at the end of `path` (keys and indices, as far as they lead) replaced."""
    if not path:
        return new
    step, *rest = path
    if isinstance(value, dict) and value:
        key = sorted(value)[step % len(value)]
        return value | {key: replaced(value[key], rest, new)}
    if isinstance(value, list) and value:
        return [replaced(item, rest, new) if index == step % len(value) else item for index, item in enumerate(value)]
    return new
