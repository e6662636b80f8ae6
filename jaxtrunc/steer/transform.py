"""`scale_by_sift`: two momenta in, one direction out, as an Optax transformation (arXiv 2604.04231)."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxtrunc.steer.gate import facts, within_budget
from jaxtrunc.steer.leaves import MatrixView, by_path, like, matrix_views
from jaxtrunc.steer.options import SiftOptions
from jaxtrunc.steer.spread import each
from jaxtrunc.steer.update import Outcome, Pair, unfired, update
from jaxtrunc.steer.where import candidates


class Metrics(NamedTuple):
    """Of the last step: trees with a `(b,)` array for each matrix leaf, b matrices in it.

    Attributes:
      cos: Frobenius cosine of the two momenta; NaN where one is zero.
      fired: whether the shared orthogonal update was taken.
      sti: interference of the two before it; NaN where not fired.
      rank_used: directions that were kept, at most 2K; 0 where not fired.
      align_f, align_g: ⟨M_i, O⟩ / ‖M_i‖_*; NaN where not fired.
      skipped: a momentum was not finite; nothing was changed.
      over_budget: would have fired, had `max_active` been larger.
    """

    cos: Any
    fired: Any
    sti: Any
    rank_used: Any
    align_f: Any
    align_g: Any
    skipped: Any
    over_budget: Any


class Basis(NamedTuple):
    """Trees of `(…, m, K)` subspaces, warm from the last step."""

    f: Any
    g: Any


class SiftState(NamedTuple):
    """Steps done, two momenta shaped like the matrix leaves, bases (power iteration only), and the last step's metrics."""

    count: jax.Array
    mu_f: Any
    mu_g: Any
    basis: Basis | None
    metrics: Metrics


@dataclass(frozen=True)
class LeafPlan:
    """What is known of a leaf before any step: its view, K, and which of its matrices are candidates `(b,)`."""

    view: MatrixView
    k: int
    where: np.ndarray

    @property
    def key(self) -> tuple[int, int, int]:
        """Leaves with the same one go through one loop; K is 0 where nothing can fire."""
        return self.view.m, self.view.n, self.k if self.where.any() else 0


def scale_by_sift(**options: Any) -> optax.GradientTransformationExtraArgs:
    """SIFT without scale, weight decay and learning rate; keywords are the fields of `SiftOptions`.

    `update(g_f, state, params, constraint_grads=g_g)` takes two gradients of one structure, whose leaves are matrices or stacks of
    them. Never wrap it in what sees `g_f` alone (`MultiSteps`, `clip_by_global_norm`, `apply_if_finite`): see `joint_clip`.

    Raises:
      InputError: an option outside its range; `where` matches nothing.
      ValueError: in `update`, without `constraint_grads`.
    """
    chosen = SiftOptions(**options)
    return optax.GradientTransformationExtraArgs(partial(_init, options=chosen), partial(_update, options=chosen))


def plans(tree: Any, options: SiftOptions) -> dict[str, LeafPlan]:
    """One for each leaf."""
    views = matrix_views(tree, options.dimension_numbers)
    masks = candidates(options.where, tree, views)
    return {path: LeafPlan(view, k := options.k(view.m, view.n), masks[path] & (k > 0)) for path, view in views.items()}


def _init(params: Any, options: SiftOptions) -> SiftState:
    planned = plans(params, options)

    def zeros(shape_of, dtype) -> Any:
        return like(params, {path: jnp.zeros(shape_of(plan), dtype) for path, plan in planned.items()})

    momenta = [zeros(lambda plan: plan.view.shape, options.mu_dtype) for _ in range(2)]
    basis = Basis(*(zeros(lambda plan: (*plan.view.batch, plan.view.m, plan.key[2]), jnp.float32) for _ in range(2)))
    kinds = Metrics(*[jnp.float32] * 6, jnp.bool, jnp.bool)._replace(fired=jnp.bool, rank_used=jnp.int32)
    metrics = Metrics(*(zeros(lambda plan: (plan.view.b,), kind) for kind in kinds))
    return SiftState(jnp.zeros([], jnp.int32), *momenta, basis if options.subspace == "iterate" else None, metrics)


def _update(updates: Any, state: SiftState, params: Any = None, *, constraint_grads: Any = None, options: SiftOptions,
            **_: Any) -> tuple[Any, SiftState]:
    del params
    if constraint_grads is None:
        raise ValueError("SIFT needs both gradients: update(g_f, state, params, constraint_grads=g_g)")
    if jax.tree.structure(updates) != jax.tree.structure(constraint_grads):
        raise ValueError("constraint_grads must have the structure of the gradients of the primary objective")
    leaves = {path: _Leaf.at(path, plan, updates, constraint_grads, state, options)
              for path, plan in plans(updates, options).items()}
    outcomes = _outcomes({path: (leaf.plan, leaf.pair) for path, leaf in leaves.items()}, options)
    new = {path: leaf.after(outcomes[path], options) for path, leaf in leaves.items()}

    def tree(part) -> Any:
        return like(updates, {path: part(each_new) for path, each_new in new.items()})

    basis = None if state.basis is None else Basis(tree(lambda x: x.basis_f), tree(lambda x: x.basis_g))
    metrics = Metrics(*(tree(lambda x, name=name: getattr(x.metrics, name)) for name in Metrics._fields))
    state = SiftState(optax.safe_increment(state.count), tree(lambda x: x.mu_f), tree(lambda x: x.mu_g), basis, metrics)
    return tree(lambda x: x.direction), state


class _After(NamedTuple):
    direction: jax.Array
    mu_f: jax.Array
    mu_g: jax.Array
    basis_f: jax.Array | None
    basis_g: jax.Array | None
    metrics: Metrics


class _Leaf(NamedTuple):
    """One leaf within a step, everything as a stack `(b, …)`."""

    plan: LeafPlan
    dtype: Any
    before: tuple[jax.Array, jax.Array]
    momenta: tuple[jax.Array, jax.Array]
    cos: jax.Array
    finite: jax.Array
    over_budget: jax.Array
    pair: Pair

    @classmethod
    def at(cls, path: str, plan: LeafPlan, updates: Any, constraint: Any, state: SiftState, options: SiftOptions) -> "_Leaf":
        """Both momenta, and the flags of the gate."""
        gradients = [plan.view.stack(by_path(tree)[path]).astype(jnp.float32) for tree in (updates, constraint)]
        old = [plan.view.stack(by_path(tree)[path]).astype(jnp.float32) for tree in (state.mu_f, state.mu_g)]
        momenta = [options.beta * mu + gradient for mu, gradient in zip(old, gradients, strict=True)]
        f, g = [gradient + options.beta * mu for gradient, mu in zip(gradients, momenta, strict=True)] if options.nesterov else momenta
        seen = facts(f, g)
        open_now = plan.where & options.when(state.count) & ~seen.zero & seen.finite
        fire = open_now if options.threshold is None else open_now & (seen.cos < options.threshold)
        active = within_budget(seen.cos, fire, options.max_active)
        bases = [None, None]
        if state.basis is not None and plan.key[2]:
            bases = [by_path(tree)[path].reshape(plan.view.b, plan.view.m, plan.k) for tree in state.basis]
        pair = Pair(f, g, active, open_now, seen.zero, *bases)
        return cls(plan, by_path(updates)[path].dtype, (old[0], old[1]), (momenta[0], momenta[1]), seen.cos, seen.finite,
                   fire & ~active, pair)

    def after(self, outcome: Outcome, options: SiftOptions) -> _After:
        """Leaf-shaped results; a matrix with a momentum that is not finite keeps what it had."""
        view, sound = self.plan.view, self.finite[:, None, None]
        momenta = [view.unstack(jnp.where(sound, new, old)).astype(options.mu_dtype)
                   for new, old in zip(self.momenta, self.before, strict=True)]
        direction = view.unstack(jnp.where(sound, outcome.direction, 0)).astype(self.dtype)
        # A leaf of which nothing can fire keeps bases of no columns.
        bases = [jnp.zeros((*view.batch, view.m, 0)) if basis is None else basis.reshape(*view.batch, view.m, -1)
                 for basis in (outcome.basis_f, outcome.basis_g)]
        metrics = Metrics(self.cos, self.pair.fire, outcome.sti, outcome.rank, outcome.align_f, outcome.align_g, ~self.finite,
                          self.over_budget)
        return _After(direction, *momenta, *bases, metrics)


def _outcomes(pairs: dict[str, tuple[LeafPlan, Pair]], options: SiftOptions) -> dict[str, Outcome]:
    """Leaves of one shape are one stack, so that a mesh is filled evenly and few loops are compiled."""
    found = {}
    for key in sorted({plan.key for plan, _ in pairs.values()}):
        members = {path: pair for path, (plan, pair) in pairs.items() if plan.key == key}
        k = key[2]
        one = partial(update, k=k, options=options) if k else partial(unfired, options=options)
        stack = jax.tree.map(lambda *parts: jnp.concatenate(parts), *members.values())
        done = each(one, stack, options.mesh, together=not k)
        ends = np.cumsum([len(pair.fire) for pair in members.values()])
        for path, pair, end in zip(members, members.values(), ends, strict=True):
            found[path] = jax.tree.map(lambda x, start=end - len(pair.fire), end=end: x[start:end], done)
    return found
