"""`scale_by_sift`: two momenta in, one direction out, as an Optax transformation (arXiv 2604.04231)."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxtrunc.steer.leaf_step import after, before
from jaxtrunc.steer.leaves import by_path, like
from jaxtrunc.steer.options import SiftOptions
from jaxtrunc.steer.plan import LeafPlan, plans
from jaxtrunc.steer.spread import each
from jaxtrunc.steer.update import Outcome, Pair, unfired, update


class Metrics(NamedTuple):
    """Of the last step: trees with a `(b,)` array for each matrix leaf, b matrices in it.

    Attributes:
      cos: Frobenius cosine of the two momenta; NaN where one is zero.
      fired: whether the shared orthogonal update was taken.
      sti: interference of the two before it; NaN where not fired.
      sti_after: of the orthogonalised halves; more than rounding only where directions were dropped.
      rank_used: directions that were kept, at most 2K; 0 where not fired.
      align_f, align_g: ⟨M_i, O⟩ / ‖M_i‖_*; NaN where not fired.
      skipped: a momentum was not finite; nothing was changed.
      over_budget: would have fired, had `max_active` been larger.
    """

    cos: Any
    fired: Any
    sti: Any
    sti_after: Any
    rank_used: Any
    align_f: Any
    align_g: Any
    skipped: Any
    over_budget: Any


class Basis(NamedTuple):
    """Trees of `(…, m, K)` subspaces, warm from the last step; `MaskedNode` for a leaf of which nothing can fire."""

    f: Any
    g: Any


class SiftState(NamedTuple):
    """Steps done, momenta shaped like the matrix leaves, a `Basis` (of power iteration; else None), the last step's metrics."""

    count: jax.typing.ArrayLike
    mu_f: Any
    mu_g: Any
    basis: Any
    metrics: Metrics


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


def _init(params: Any, options: SiftOptions) -> SiftState:
    planned = plans(params, options)

    def zeros(shape_of, dtype) -> Any:
        return like(params, {path: jnp.zeros(shape_of(plan), dtype) for path, plan in planned.items()})

    def momenta() -> Any:
        return zeros(lambda plan: plan.view.shape, options.mu_dtype)

    def bases() -> Any:
        return like(params, {path: jnp.zeros((*plan.view.batch, plan.view.m, plan.k)) if plan.key[2] else optax.MaskedNode()
                             for path, plan in planned.items()})

    basis = Basis(bases(), bases()) if options.subspace == "iterate" else None
    kinds = {"fired": jnp.bool, "rank_used": jnp.int32, "skipped": jnp.bool, "over_budget": jnp.bool}
    metrics = {name: zeros(lambda plan: (plan.view.b,), kinds.get(name, jnp.float32)) for name in Metrics._fields}
    return SiftState(jnp.zeros([], jnp.int32), momenta(), momenta(), basis, Metrics(**metrics))


def _update(updates: Any, state: Any, params: Any = None, *, constraint_grads: Any = None, options: SiftOptions,
            **_: Any) -> tuple[Any, SiftState]:
    del params
    if constraint_grads is None:
        raise ValueError("SIFT needs both gradients: update(g_f, state, params, constraint_grads=g_g)")
    if jax.tree.structure(updates) != jax.tree.structure(constraint_grads):
        raise ValueError("constraint_grads must have the structure of the gradients of the primary objective")
    planned = plans(updates, options)
    trees = ((updates, constraint_grads), (state.mu_f, state.mu_g), state.basis or ())
    gradients, momenta, bases = ([by_path(tree) for tree in pair] for pair in trees)
    starts = {path: before(plan, _of(path, gradients), _of(path, momenta), _of(path, bases), state.count, options)
              for path, plan in planned.items()}
    outcomes = _outcomes(planned, {path: start.pair for path, start in starts.items()}, options)
    ends = {path: after(plan, starts[path], outcomes[path], gradients[0][path].dtype, options) for path, plan in planned.items()}

    def tree(part) -> Any:
        return like(updates, {path: part(end) for path, end in ends.items()})

    basis = None if state.basis is None else Basis(tree(lambda end: end.basis_f), tree(lambda end: end.basis_g))
    metrics = Metrics(**{name: tree(lambda end, name=name: end.metrics[name]) for name in Metrics._fields})
    count = optax.safe_increment(state.count)
    return tree(lambda end: end.direction), SiftState(count, tree(lambda end: end.mu_f), tree(lambda end: end.mu_g), basis, metrics)


def _of(path: str, trees: list[dict[str, Any]]) -> list[Any]:
    return [leaves[path] for leaves in trees if path in leaves]


def _outcomes(planned: dict[str, LeafPlan], pairs: dict[str, Pair], options: SiftOptions) -> dict[str, Outcome]:
    """Leaves of one shape are one stack, so that a mesh is filled evenly and few loops are compiled."""
    found = {}
    for key in sorted({plan.key for plan in planned.values()}):
        paths = [path for path, plan in planned.items() if plan.key == key]
        k = key[2]
        one = partial(update, k=k, options=options) if k else partial(unfired, options=options)
        stack = jax.tree.map(lambda *parts: jnp.concatenate(parts), *(pairs[path] for path in paths))
        done = each(one, stack, options.mesh, together=not k)
        start = 0
        for path in paths:
            stop = start + planned[path].view.b
            found[path] = jax.tree.map(lambda x, start=start, stop=stop: x[start:stop], done)
            start = stop
    return found
