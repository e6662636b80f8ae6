"""The matrices that are this process's to read: its share of the files, and of sharded arrays what lies on its devices."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral.relayout import Stack, is_sharded, relayout
from jaxtrunc.spectral.shares import cost, divide
from jaxtrunc.spectral.view import MatrixRef

Leaves = Mapping[str, Any]


def owned(base: Leaves, ft: Leaves, refs: Sequence[MatrixRef]) -> Iterator[tuple[Leaves, Leaves, list[MatrixRef]]]:
    """The matrices of this process, costliest first, in groups, each with leaves from which they can be read.

    Over all processes every matrix comes once. Lazy and local leaves are one group. Each sharded leaf is a group of its own,
    so that few leaves at a time are on the devices in both layouts; all processes must take every group.

    Raises:
      InputError: the two leaves of a path are sharded so differently that no process would have both matrices.
    """
    sharded: dict[str, list[MatrixRef]] = defaultdict(list)
    local = []
    for ref in refs:
        (sharded[ref.path] if is_sharded(base[ref.path]) or is_sharded(ft[ref.path]) else local).append(ref)
    yield base, ft, divide(local, jax.process_count())[jax.process_index()]
    costly_first = sorted(sharded.items(), key=lambda item: (-sum(cost(ref.shape) for ref in item[1]), item[0]))
    for turn, (path, group) in enumerate(costly_first):
        batch_axes = group[0].view.batch_axes
        before, after = (relayout(leaf, batch_axes, turn) if is_sharded(leaf) else leaf for leaf in (base[path], ft[path]))
        mine = [ref for ref in group if _owner(ref, before, after) == jax.process_index()]
        yield {path: before}, {path: after}, sorted(mine, key=lambda ref: -cost(ref.shape))


def _owner(ref: MatrixRef, before: Any, after: Any) -> int:
    owners = {leaf.owner(ref.index) for leaf in (before, after) if isinstance(leaf, Stack)}
    if len(owners) > 1:
        raise InputError(f"{ref.name}: base and fine-tuned weights are sharded differently, so that no process would have both; "
                         "give the two leaves the same sharding")
    return owners.pop()
