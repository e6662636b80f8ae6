"""What is logged of every step besides its losses: conflicts per matrix, and what SIFT did about them."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxtrunc.steer import AdamConfig, sift_metrics
from jaxtrunc.steer.gate import facts
from jaxtrunc.steer.leaves import by_path, matrix_view
from jaxtrunc.steer.sift import routing
from jaxtrunc.train.scope import Flat
from jaxtrunc.train.step import Found

SUMMARIES = ("sti", "sti_after", "rank_used", "align_f", "align_g")


def matrices(trained: Flat) -> list[str]:
    """Names of the hidden matrices in the order of what is watched: path[layer]."""
    hidden = _hidden(trained)
    return [f"{path}[{index}]" for path, leaf in hidden.items() for index in range(matrix_view(leaf.shape).b)]


def watch_momenta(found: Found, state: Any) -> dict[str, Any]:
    """Of SIFT: cosines and what fired, per matrix; means of the rest over what fired."""
    seen = sift_metrics(state)
    rows = {name: jnp.concatenate(list(by_path(getattr(seen, name)).values())) for name in seen._fields}
    fired = rows["fired"]
    means = {name: jnp.sum(jnp.where(fired, rows[name], 0)) / fired.sum() for name in SUMMARIES}
    return _cosines(rows["cos"]) | means | {"fired": fired, "fired_share": fired.mean(), "skipped": rows["skipped"].sum(),
                                            "over_budget": rows["over_budget"].sum()}


def watch_gradients(found: Found, state: Any) -> dict[str, Any]:
    """Of the others, which have no momenta of their own for each objective: cosines of the two gradients."""
    del state
    pairs = zip(_hidden(found.gradient).values(), _hidden(found.told["constraint_grads"]).values(), strict=True)
    return _cosines(jnp.concatenate([facts(*(matrix_view(leaf.shape).stack(leaf) for leaf in pair)).cos for pair in pairs]))


def _cosines(cos: jax.Array) -> dict[str, Any]:
    return {"cos": cos, "cos_mean": jnp.nanmean(cos), "cos_min": jnp.nanmin(cos)}


def _hidden(leaves: Flat) -> Flat:
    chosen = routing(leaves, AdamConfig())
    return {path: leaves[path] for path in sorted(leaves) if chosen[path]}
