"""What one pair of momenta becomes: a shared orthogonal update where it fires, Muon's of the sum elsewhere (arXiv 2604.04231)."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxtrunc.spectral.interference import sti
from jaxtrunc.steer.bases import Bases, iterate_bases, refreshed, svd_bases
from jaxtrunc.steer.options import SiftOptions
from jaxtrunc.steer.polar import POLARS, newton_schulz, product

NAN = float("nan")
Number = jax.Array | float


class Pair(NamedTuple):
    """Momenta `(m, n)` of both objectives, the flags of this step, and the last step's bases `(m, K)` (power iteration only)."""

    f: jax.Array
    g: jax.Array
    fire: jax.Array
    refresh: jax.Array
    zero: jax.Array
    basis_f: jax.Array | None = None
    basis_g: jax.Array | None = None


class Outcome(NamedTuple):
    """The direction `(m, n)`, the bases to keep, and scalars: interference before and after, rank, ⟨M_i, O⟩ / ‖M_i‖_* of both."""

    direction: jax.Array
    sti: jax.Array
    sti_after: jax.Array
    rank: jax.Array
    align_f: jax.Array
    align_g: jax.Array
    basis_f: jax.Array | None = None
    basis_g: jax.Array | None = None


def fired(pair: Pair, k: int, options: SiftOptions) -> Outcome:
    """O = msign([U_f, U_g]) · msign([V_f, V_g])ᵀ over the leading subspaces."""
    (f, top_f), (g, top_g) = unit(pair.f), unit(pair.g)
    bases_f, bases_g = (_bases(matrix, basis, k, options) for matrix, basis in ((f, pair.basis_f), (g, pair.basis_g)))
    u, v = jnp.concatenate([bases_f.u, bases_g.u], 1), jnp.concatenate([bases_f.v, bases_g.v], 1)
    left, right = (POLARS[options.polar](basis, options.rcond) for basis in (u, v))
    direction, rank = product(left.factor, right.factor.T), jnp.minimum(left.rank, right.rank)
    if options.rank_compensate:
        direction *= jnp.sqrt(min(f.shape) / jnp.maximum(rank, 1))
    if not options.diagnostics:
        return _outcome(direction, pair, rank=rank)
    sigma = jnp.concatenate([bases_f.sigma * top_f, bases_g.sigma * top_g])
    align_f, align_g = (jnp.sum(m * direction) / bases.nuclear for m, bases in ((f, bases_f), (g, bases_g)))
    with jax.default_matmul_precision("highest"):
        overlap, left_over = sti(u, sigma, v), sti(left.factor, sigma, right.factor)
    return _outcome(direction, pair, overlap, left_over, rank, align_f, align_g)


def unfired(pair: Pair, options: SiftOptions) -> Outcome:
    """Muon of the sum; or, where neither momentum is zero, the fallback asked for."""
    polar = partial(newton_schulz, name=options.ns_coeffs, steps=options.ns_steps)
    muon = polar(pair.f + pair.g)
    if options.fallback == "muon":
        return _outcome(muon, pair)
    share = {"zero": 0.0, "v0": 1.0, "avg": 0.5}[options.fallback]
    other = share * (polar(pair.f) + polar(pair.g)) if share else jnp.zeros_like(muon)
    return _outcome(jnp.where(pair.zero, muon, other), pair)


def update(pair: Pair, k: int, options: SiftOptions) -> Outcome:
    """Refresh the bases where due, then one of the two branches; only that one is computed."""
    if pair.basis_f is not None:
        pair = jax.lax.cond(pair.refresh, partial(_refresh, rounds=options.power_steps), lambda pair: pair, pair)
    return jax.lax.cond(pair.fire, partial(fired, k=k, options=options), partial(unfired, options=options), pair)


def unit(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The matrix divided by its largest entry, and that entry: nothing then depends on the scale of a loss."""
    top = jnp.abs(matrix).max()
    return matrix / jnp.where(top > 0, top, 1), top


def _bases(matrix: jax.Array, basis: jax.Array | None, k: int, options: SiftOptions) -> Bases:
    if basis is None:
        return svd_bases(matrix, k, options.sv_rtol)
    return iterate_bases(matrix, basis, options.sv_rtol)


def _refresh(pair: Pair, rounds: int) -> Pair:
    assert pair.basis_f is not None and pair.basis_g is not None
    f, g = (refreshed(unit(matrix)[0], basis, rounds) for matrix, basis in ((pair.f, pair.basis_f), (pair.g, pair.basis_g)))
    return pair._replace(basis_f=f, basis_g=g)


def _outcome(direction: jax.Array, pair: Pair, overlap: Number = NAN, left_over: Number = NAN, rank: Number = 0,
             align_f: Number = NAN, align_g: Number = NAN) -> Outcome:
    """Both branches have the same types."""
    overlap, left_over, align_f, align_g = (jnp.asarray(value, jnp.float32) for value in (overlap, left_over, align_f, align_g))
    return Outcome(direction, overlap, left_over, jnp.asarray(rank, jnp.int32), align_f, align_g, pair.basis_f, pair.basis_g)
