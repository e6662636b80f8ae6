"""One gradient from two, before any optimiser: what SIFT is compared with."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from jaxtrunc.core.errors import InputError, did_you_mean

Tree = Any
Rule = Callable[[Tree, Tree], Tree]


def weighted_sum(f: Tree, g: Tree) -> Tree:
    """d = g_f + g_g; the constraint's weight is in its gradient."""
    return _mixed(f, 1.0, g, 1.0)


def pcgrad(f: Tree, g: Tree) -> Tree:
    """If ⟨g_f, g_g⟩ < 0 each loses its part along the other's original; then the sum (Yu et al. 2020, arXiv 2001.06782)."""
    dot = jnp.minimum(_dot(f, g), 0)
    return _mixed(f, 1 - _ratio(dot, _dot(f, f)), g, 1 - _ratio(dot, _dot(g, g)))


def mgda(f: Tree, g: Tree) -> Tree:
    """Twice the shortest vector between the two, so that ⟨d, g_f⟩, ⟨d, g_g⟩ ≥ 0 (Désidéri 2012; Sener & Koltun 2018)."""
    ff, fg, gg = _dot(f, f), _dot(f, g), _dot(g, g)
    share = jnp.clip(_ratio(gg - fg, ff - 2 * fg + gg, 0.5), 0, 1)
    return _mixed(f, 2 * share, g, 2 * (1 - share))


def cagrad(f: Tree, g: Tree, c: float = 0.5) -> Tree:
    """d = 2(g₀ + c‖g₀‖·g_w/‖g_w‖) around the mean g₀, for the w of the worse improvement (Liu et al. 2021, arXiv 2110.14048).

    w minimises ⟨g_w, g₀⟩ + c‖g₀‖‖g_w‖ over [0, 1], which is convex; g_w = w·g_f + (1 − w)·g_g.
    """
    ff, fg, gg = _dot(f, f), _dot(f, g), _dot(g, g)
    radius = c * jnp.sqrt(jnp.maximum(ff + 2 * fg + gg, 0)) / 2
    w = _worse(ff, fg, gg, radius)
    length = jnp.sqrt(jnp.maximum(w**2 * ff + 2 * w * (1 - w) * fg + (1 - w) ** 2 * gg, 0))
    reach = _ratio(radius, length)
    return _mixed(f, 1 + 2 * reach * w, g, 1 + 2 * reach * (1 - w))


def blur(f: Tree, g: Tree, gamma: float = 1.0, alpha: float = 1.0) -> Tree:
    """d = γg_f + α(g_g − its part along g_f), whatever their angle (after BLUR, bi-level unlearning)."""
    return _mixed(f, gamma - alpha * _ratio(_dot(g, f), _dot(f, f)), g, alpha)


COMBINERS: dict[str, Rule] = {"weighted_sum": weighted_sum, "pcgrad": pcgrad, "mgda": mgda, "cagrad": cagrad, "blur": blur}


def find_combiner(name: str, scope: Literal["global", "leaf"] = "global") -> Rule:
    """By name; with scope "leaf" every leaf is combined by its own inner products, else by those over all leaves.

    Raises:
      InputError: an unknown name or scope.
    """
    if name not in COMBINERS:
        raise InputError(f"combine: '{name}' is not known{did_you_mean(name, COMBINERS)}")
    if scope not in ("global", "leaf"):
        raise InputError(f"combine: scope: expected 'global' or 'leaf', found '{scope}'")
    rule = COMBINERS[name]
    return rule if scope == "global" else lambda f, g: jax.tree.map(rule, f, g)


def combined(rule: Rule, optimiser: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """An ordinary optimiser on the combined gradient, called as SIFT is: with `constraint_grads`."""
    def update(updates: Tree, state: Any, params: Any = None, *, constraint_grads: Tree = None, **extra: Any) -> tuple[Tree, Any]:
        if constraint_grads is None:
            raise ValueError("both gradients are needed: update(g_f, state, params, constraint_grads=g_g)")
        return optax.with_extra_args_support(optimiser).update(rule(updates, constraint_grads), state, params, **extra)

    return optax.GradientTransformationExtraArgs(optimiser.init, update)


def _dot(f: Tree, g: Tree) -> jax.Array:
    """⟨f, g⟩ over all leaves, float32."""
    return jnp.asarray(optax.tree.vdot(optax.tree.cast(f, jnp.float32), optax.tree.cast(g, jnp.float32)))


def _mixed(f: Tree, of_f: Any, g: Tree, of_g: Any) -> Tree:
    return jax.tree.map(lambda x, y: (of_f * x + of_g * y).astype(x.dtype), f, g)


def _ratio(above: jax.Array, below: jax.Array, otherwise: float = 0.0) -> jax.Array:
    return jnp.where(below > 0, above / jnp.where(below > 0, below, 1), otherwise)


def _worse(ff: jax.Array, fg: jax.Array, gg: jax.Array, radius: jax.Array) -> jax.Array:
    """The minimising w of `cagrad`: slope·w + radius·√(spread·(w − w₀)² + rest) in closed form, cut to [0, 1]."""
    spread = ff - 2 * fg + gg
    nearest = _ratio(gg - fg, spread, 0.5)
    rest = jnp.maximum(gg - nearest**2 * spread, 0)
    slope = (ff - gg) / 2
    room = radius**2 * spread - slope**2
    offset = -jnp.sign(slope) * jnp.sqrt(_ratio(slope**2 * rest, spread * room))
    # Without room the slope of the first term wins everywhere.
    free = jnp.where(room > 0, nearest + offset, jnp.where(slope > 0, 0.0, jnp.where(slope < 0, 1.0, 0.5)))
    return jnp.clip(free, 0, 1)
