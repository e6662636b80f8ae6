"""Updates of the attention and MLP matrices, `{path: (L, in, out)}` in float32, and what the known answers do to them."""

from functools import partial

import numpy as np

Update = dict[str, np.ndarray]
Sizes = dict[str, np.ndarray]
"""(L,) of every path."""


def truncated(update: Update, rank: int) -> Update:
    """The nearest update of that rank, matrix by matrix."""
    return _respaced(update, rank, lambda s: s)


def flattened(update: Update, rank: int) -> Update:
    """All `rank` leading singular values of a matrix set to their root mean square: same directions, same norm, no order."""
    return _respaced(update, rank, lambda s: np.sqrt((s**2).mean(axis=1, keepdims=True)) * np.ones_like(s))


def clipped(update: Update, limits: Sizes) -> Update:
    """No singular value above the limit of its matrix."""
    return {path: _respaced({path: stack}, min(stack.shape[1:]), partial(np.minimum, limits[path][:, None]))[path]
            for path, stack in update.items()}


def sized(update: Update, sizes: Sizes) -> Update:
    """Every matrix scaled so that its largest singular value is `sizes`."""
    factors = {path: sizes[path] / s[:, 0] for path, s in singular_values(update).items()}
    return {path: (factors[path][:, None, None] * stack).astype(np.float32) for path, stack in update.items()}


def scaled(update: Update, factor: float) -> Update:
    """factor · update."""
    return {path: np.float32(factor) * stack for path, stack in update.items()}


def summed(one: Update, other: Update) -> Update:
    """Matrix by matrix."""
    return {path: one[path] + other[path] for path in one}


def singular_values(update: Update) -> Sizes:
    """(L, r) of every path, falling."""
    return {path: _svd(stack)[1] for path, stack in update.items()}


def spaces(update: Update, rank: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Orthonormal bases (L, in, rank) and (L, out, rank) of the leading column and row spaces."""
    found = {}
    for path, stack in update.items():
        u, _, v = _svd(stack)
        found[path] = (u[..., :rank].astype(np.float32), v[:, :rank].swapaxes(1, 2).astype(np.float32))
    return found


def _respaced(update: Update, rank: int, change) -> Update:
    """Singular values (L, rank) replaced by `change` of them, the others by 0."""
    found = {}
    for path, stack in update.items():
        u, s, v = _svd(stack)
        found[path] = ((u[..., :rank] * change(s[:, :rank])[:, None]) @ v[:, :rank]).astype(np.float32)
    return found


def _svd(stack: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.linalg.svd(np.asarray(stack, np.float64), full_matrices=False)
