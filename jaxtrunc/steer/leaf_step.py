"""One leaf within one step: momenta and gate before the update, what is kept after it. Everything is a stack `(b, …)`."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxtrunc.steer.gate import Facts, facts, within_budget
from jaxtrunc.steer.options import SiftOptions
from jaxtrunc.steer.plan import LeafPlan
from jaxtrunc.steer.update import Outcome, Pair


class Before(NamedTuple):
    """What an update starts from.

    Attributes:
      old, new: momenta of f and g, before this step's gradients and with them; float32.
      seen: the two compared.
      over_budget: would have fired, had `max_active` been larger.
      pair: what the update takes.
    """

    old: list[jax.Array]
    new: list[jax.Array]
    seen: Facts
    over_budget: jax.Array
    pair: Pair


class After(NamedTuple):
    """What a step leaves, in the shapes of the leaf, and the metrics `(b,)` by name."""

    direction: jax.Array
    mu_f: jax.Array
    mu_g: jax.Array
    basis_f: jax.Array | optax.MaskedNode
    basis_g: jax.Array | optax.MaskedNode
    metrics: dict[str, jax.Array]


def before(plan: LeafPlan, gradients: list[Any], momenta: list[Any], bases: list[Any], count: jax.Array,
           options: SiftOptions) -> Before:
    """Both momenta, B ← βB + g, and the flags of the gate.

    Args:
      gradients, momenta, bases: leaves of f and of g; no bases: an empty list.
      count: steps done.
    """
    new_gradients, old = ([plan.view.stack(leaf).astype(jnp.float32) for leaf in leaves] for leaves in (gradients, momenta))
    new = [options.beta * mu + gradient for mu, gradient in zip(old, new_gradients, strict=True)]
    f, g = new
    if options.nesterov:
        f, g = (gradient + options.beta * mu for mu, gradient in zip(new, new_gradients, strict=True))
    seen = facts(f, g)
    candidate = options.when(count) & ~seen.zero & seen.finite & plan.where
    fire = candidate if options.threshold is None else candidate & (seen.cos < options.threshold)
    active = within_budget(seen.cos, fire, options.max_active)
    warm = [basis.reshape(plan.view.b, plan.view.m, plan.k) for basis in bases]
    return Before(old, new, seen, fire & ~active, Pair(f, g, active, candidate, seen.zero, *warm))


def after(plan: LeafPlan, start: Before, outcome: Outcome, dtype: Any, options: SiftOptions) -> After:
    """A matrix with a momentum that is not finite keeps what it had, and does not move."""
    view, sound = plan.view, start.seen.finite[:, None, None]
    mu_f, mu_g = (view.unstack(jnp.where(sound, new, old)).astype(options.mu_dtype)
                  for new, old in zip(start.new, start.old, strict=True))
    direction = view.unstack(jnp.where(sound, outcome.direction, 0)).astype(dtype)
    basis_f, basis_g = (optax.MaskedNode() if basis is None else basis.reshape(*view.batch, view.m, -1)
                        for basis in (outcome.basis_f, outcome.basis_g))
    measured = {"cos": start.seen.cos, "fired": start.pair.fire, "sti": outcome.sti, "sti_after": outcome.sti_after,
                "rank_used": outcome.rank, "align_f": outcome.align_f, "align_g": outcome.align_g,
                "skipped": ~start.seen.finite, "over_budget": start.over_budget}
    return After(direction, mu_f, mu_g, basis_f, basis_g, measured)
