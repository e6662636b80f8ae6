"""Leaves by path, and every matrix leaf as a stack `(b, m, n)` of fan-in × fan-out matrices."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import optax

Dimensions = optax.contrib.MuonDimensionNumbers


def by_path(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> dict[str, Any]:
    """Any pytree → `{"layers/attn/q_proj/kernel": leaf}`; what `optax.partition` masked is not there."""
    found = jax.tree_util.tree_flatten_with_path(tree, is_leaf=is_leaf)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in found}


def like(tree: Any, leaves: dict[str, Any]) -> Any:
    """The tree of these leaves that has the structure of `tree`; the inverse of `by_path`."""
    return jax.tree.unflatten(jax.tree.structure(tree), [leaves[path] for path in by_path(tree)])


@dataclass(frozen=True)
class MatrixView:
    """Which axes of a leaf are fan-in and fan-out; all others are batch axes (layers, experts).

    Attributes:
      shape: of the leaf.
      order: its axes as batch, fan-in, fan-out.
      batch, rows, columns: sizes of the axes in each of the three groups.
    """

    shape: tuple[int, ...]
    order: tuple[int, ...]
    batch: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    @property
    def b(self) -> int:
        """Number of matrices."""
        return math.prod(self.batch)

    @property
    def m(self) -> int:
        """Fan-in."""
        return math.prod(self.rows)

    @property
    def n(self) -> int:
        """Fan-out."""
        return math.prod(self.columns)

    def stack(self, leaf: jax.Array) -> jax.Array:
        """The leaf as `(b, m, n)`."""
        return leaf.transpose(self.order).reshape(self.b, self.m, self.n)

    def unstack(self, stack: jax.Array) -> jax.Array:
        """`(b, m, n)` in the shape of the leaf."""
        back = sorted(range(len(self.order)), key=self.order.__getitem__)
        return stack.reshape(self.batch + self.rows + self.columns).transpose(back)


def matrix_view(shape: Sequence[int], dimensions: Dimensions | None = None) -> MatrixView:
    """View a leaf; without `dimensions` its last two axes are fan-in and fan-out.

    Raises:
      ValueError: fewer than two axes, or one axis in both groups.
    """
    if len(shape) < 2:
        raise ValueError(f"a matrix leaf has at least two axes, found shape {tuple(shape)}: route it to another optimiser")
    given = dimensions or Dimensions(-2, -1)
    rows, columns = (_axes(group, len(shape)) for group in given)
    if set(rows) & set(columns):
        raise ValueError(f"{given}: an axis is both fan-in and fan-out")
    batch = tuple(axis for axis in range(len(shape)) if axis not in rows + columns)
    sizes = [tuple(shape[axis] for axis in group) for group in (batch, rows, columns)]
    return MatrixView(tuple(shape), batch + rows + columns, *sizes)


def matrix_views(tree: Any, dimensions: Any = None) -> dict[str, MatrixView]:
    """A view for every leaf; `dimensions` is None, one value for all, a tree by path, or a function of the tree (as in Optax)."""
    if callable(dimensions):
        dimensions = dimensions(tree)
    shared = dimensions if dimensions is None or isinstance(dimensions, Dimensions) else None
    named = {} if dimensions is shared else by_path(dimensions, is_leaf=lambda node: isinstance(node, Dimensions))
    return {path: matrix_view(leaf.shape, named.get(path, shared)) for path, leaf in by_path(tree).items()}


def _axes(group: Sequence[int] | int, count: int) -> tuple[int, ...]:
    return tuple(axis % count for axis in ((group,) if isinstance(group, int) else group))
