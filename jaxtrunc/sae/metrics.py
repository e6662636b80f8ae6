"""How good a sparse autoencoder is: reconstruction, sparsity, dead and doubled latents, and what the model loses by it."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxtrunc.sae.sae import SAE, decode, encode

LOG10_EDGES = np.arange(-6.0, 0.5, 0.5)
BLOCK = 1024  # rows of the decoder that are compared with all others at a time


class _Batch(NamedTuple):
    """Sums over one batch: ‖x − x̂‖², and how many rows each latent was active in."""

    error: jax.Array
    firing: jax.Array


class Evaluation:
    """Sums over a whole evaluation set, in float64 on the host, batch by batch."""

    def __init__(self, sae: SAE):
        self._sae = sae
        self.rows, self.error, self.square = 0, 0.0, 0.0
        self.total, self.firing = np.zeros(sae.d), np.zeros(sae.n, np.int64)

    def add(self, x: Float[np.ndarray, "B d"]) -> None:
        """Take in activations as they come from the model."""
        found = jax.device_get(_examine(self._sae, jnp.asarray(x, jnp.float32)))
        self.rows += len(x)
        self.error += float(found.error)
        self.firing += found.firing
        self.total += np.sum(x, axis=0, dtype=np.float64)
        self.square += float(np.einsum("ij,ij->", x, x, dtype=np.float64))

    @property
    def fvu(self) -> float:
        """Fraction of variance unexplained, Σ‖x − x̂‖² / Σ‖x − mean‖²; NaN if the set has no variance."""
        variance = self.square - float(self.total @ self.total) / max(self.rows, 1)
        return self.error / variance if variance > 0 else math.nan

    @property
    def density(self) -> Float[np.ndarray, " n"]:
        """Share of the set in which each latent is active."""
        return self.firing / max(self.rows, 1)

    def facts(self) -> dict[str, Any]:
        """All metrics as plain JSON; the histogram leaves out latents that were never active, its first bin reaches down to 0."""
        density = self.density
        alive = density[density > 0]
        counts = np.histogram(np.maximum(np.log10(alive), LOG10_EDGES[0]), LOG10_EDGES)[0]
        nearest = nearest_cosines(self._sae.w_dec)
        return {"rows": self.rows, "l0": float(density.sum()), "fvu": self.fvu, "explained_variance": 1 - self.fvu,
                "dead_fraction": float(np.mean(density == 0)),
                "density_histogram": {"log10_edges": LOG10_EDGES.tolist(), "counts": counts.tolist()},
                "max_decoder_cosine": float(nearest.max()), "mean_max_decoder_cosine": float(nearest.mean())}


def evaluate(sae: SAE, batches: Iterable[Float[np.ndarray, "B d"]]) -> Evaluation:
    """Sums over all batches; equal sizes compile once."""
    evaluation = Evaluation(sae)
    for x in batches:
        evaluation.add(x)
    return evaluation


@jax.jit
def _examine(sae: SAE, x: jax.Array) -> _Batch:
    a = encode(sae, x)
    return _Batch(jnp.sum(jnp.square(x - decode(sae, a))), jnp.sum(a > 0, axis=0, dtype=jnp.int32))


def ce_recovered(original: float, spliced: float, zeroed: float) -> float:
    """(CE_zero − CE_sae)/(CE_zero − CE_orig): 1 if x̂ serves as well as x, 0 if no better than zeros; NaN if zeros cost nothing.

    Args:
      original: cross-entropy of the model as it is.
      spliced: with x̂ in the place of x.
      zeroed: with zeros there.
    """
    return (zeroed - spliced) / (zeroed - original) if zeroed != original else math.nan


def mmcs(directions: Float[np.ndarray, "m d"], w_dec: Float[jax.Array, "n d"]) -> float:
    """Mean over the true directions of the largest |cosine| to a decoder row (Sharkey et al. 2022)."""
    cosines = _unit(jnp.asarray(directions, jnp.float32)) @ _unit(jnp.asarray(w_dec)).T
    return float(jnp.abs(cosines).max(axis=1).mean())


@jax.jit
def nearest_cosines(w_dec: Float[jax.Array, "n d"]) -> Float[jax.Array, " n"]:
    """The largest cosine of each row with another one; −1 if there is no other."""
    rows = _unit(w_dec)

    def of(row: jax.Array, number: jax.Array) -> jax.Array:
        return jnp.max(jnp.where(jnp.arange(len(rows)) == number, -1.0, rows @ row))

    return jax.lax.map(lambda one: of(*one), (rows, jnp.arange(len(rows))), batch_size=min(BLOCK, len(rows)))


def _unit(rows: jax.Array) -> jax.Array:
    return rows / jnp.maximum(jnp.linalg.norm(rows, axis=-1, keepdims=True), 1e-30)
