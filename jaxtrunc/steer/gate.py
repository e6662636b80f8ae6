"""When the two objectives count as in conflict: per matrix and step."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxtrunc.core.errors import InputError, shown

NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class Schedule:
    """Steps at which SIFT may fire, counted from 0: start ≤ step < stop, every so many; or, if given, `steps` alone.

    Raises:
      InputError: an empty range or list, or an interval below one.
    """

    start: int = 0
    stop: int | None = None
    every: int = 1
    steps: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what can never hold."""
        if self.start < 0 or self.every < 1 or (self.stop is not None and self.stop <= self.start):
            raise InputError(f"when: expected 0 <= start < stop and every >= 1, found start {self.start}, stop {self.stop}, every "
                             f"{self.every}")
        if self.steps is not None and (not self.steps or min(self.steps) < 0):
            raise InputError(f"when: steps: expected numbers of steps, counted from 0, found {shown(list(self.steps))}")

    def any_before(self, steps: int) -> bool:
        """Whether a run of so many steps has one of them."""
        return min(self.steps, default=0) < steps if self.steps is not None else self.start < steps

    def __call__(self, count: jax.Array) -> jax.Array:
        """Whether step `count` is one of them, a boolean scalar."""
        if self.steps is not None:
            return jnp.isin(count, jnp.asarray(self.steps))
        inside = (count >= self.start) & ((count - self.start) % self.every == 0)
        return inside if self.stop is None else inside & (count < self.stop)


class Facts(NamedTuple):
    """Of b pairs of matrices, each `(b,)`.

    Attributes:
      cos: Frobenius cosine; NaN where one of the two is zero.
      zero: one is zero, or below 1e-12 of the other.
      finite: both are.
    """

    cos: jax.Array
    zero: jax.Array
    finite: jax.Array


def facts(f: jax.Array, g: jax.Array) -> Facts:
    """Compare two stacks `(b, m, n)`; float32, of matrices divided by their largest entry so that nothing under- or overflows."""
    finite = jnp.isfinite(f).all((1, 2)) & jnp.isfinite(g).all((1, 2))
    (f, norm_f), (g, norm_g) = _unit(f), _unit(g)
    larger = jnp.maximum(norm_f, norm_g)
    zero = ~((norm_f > NEGLIGIBLE * larger) & (norm_g > NEGLIGIBLE * larger))
    return Facts(jnp.where(zero, jnp.nan, jnp.sum(f * g, (1, 2))), zero, finite)


def within_budget(cos: jax.Array, fire: jax.Array, most: int | None) -> jax.Array:
    """Of the matrices that would fire the `most` with the strongest conflict."""
    if most is None or most >= fire.size:
        return fire
    place = jnp.argsort(jnp.argsort(jnp.where(fire, cos, jnp.inf)))
    return fire & (place < most)


def _unit(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Matrices of Frobenius norm one, and the norms they had."""
    top = jnp.abs(x).max((1, 2), keepdims=True)
    safe = jnp.where(top > 0, top, 1)
    norm = jnp.sqrt(jnp.sum((x / safe) ** 2, (1, 2), keepdims=True))
    return x / safe / jnp.where(norm > 0, norm, 1), (safe * norm)[:, 0, 0]
