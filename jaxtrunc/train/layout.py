"""Where the arrays of a training run lie: each process holds its devices' parts of them and never a whole copy."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding

from jaxtrunc.core.mesh import param_shardings, place, replicated
from jaxtrunc.train.scope import Flat


def laid_out(leaves: Flat, mesh: Mesh | None) -> Flat:
    """Leaves that are laid out over `mesh` stay where they are, others get the layout of their kind."""
    if mesh is None:
        return leaves
    layout = param_shardings(mesh, leaves)
    return {path: leaf if _is_over(mesh, leaf) else place(leaf, layout[path]) for path, leaf in leaves.items()}


def masters(leaves: Flat, mesh: Mesh | None) -> Flat:
    """Float32 copies in the same layout; a training step may reuse their memory without touching the originals."""
    layout = None if mesh is None else {path: leaf.sharding for path, leaf in leaves.items()}
    return jax.jit(_copied, out_shardings=layout)(leaves)


def optimiser_state(optimiser: optax.GradientTransformation, trained: Flat, mesh: Mesh | None) -> optax.OptState:
    """The state before the first step: moments lie as their parameters do, whatever has another shape is everywhere.

    All of it is committed to its devices, as every later state is: the first step and the second are one compiled function.
    """
    everywhere = next(iter(trained.values())).sharding if mesh is None else replicated(mesh)
    shapes = jax.eval_shape(optimiser.init, trained)

    def of(kept: Any, leaf: jax.Array) -> Any:
        if isinstance(kept, optax.MaskedNode):  # a leaf that another optimiser takes
            return kept
        return leaf.sharding if kept.shape == leaf.shape else everywhere

    layout = optax.tree_map_params(optimiser, of, shapes, trained, transform_non_params=lambda _: everywhere,
                                   is_leaf=lambda kept: isinstance(kept, optax.MaskedNode))
    return jax.jit(optimiser.init, out_shardings=layout)(trained)


def _copied(leaves: Flat) -> Flat:
    return {path: jnp.array(leaf, jnp.float32, copy=True) for path, leaf in leaves.items()}


def _is_over(mesh: Mesh, leaf: Any) -> bool:
    sharding = getattr(leaf, "sharding", None)
    return isinstance(sharding, NamedSharding) and sharding.mesh == mesh
