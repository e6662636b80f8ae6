"""One sparse autoencoder, wherever it comes from: its arrays in one layout, and what they compute."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxtrunc.sae.largest import largest

Kind = Literal["standard", "topk", "jumprelu", "gated"]
Meta = tuple[tuple[str, str | int | float], ...]
ARRAYS = ("w_enc", "w_dec", "b_enc", "b_dec", "threshold", "b_gate", "b_mag", "r_mag")
# A latent near its threshold must not come and go with the matrix unit's idea of a float32 product.
_product = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)


@partial(jax.tree_util.register_dataclass, data_fields=ARRAYS,
         meta_fields=("kind", "k", "input_scale", "output_scale", "subtract_b_dec", "meta"))
@dataclass(frozen=True, kw_only=True, eq=False)
class SAE:
    """Arrays (float32) and conventions of one autoencoder of d numbers into n latents; a pytree, static but for the arrays.

    Attributes:
      b_enc: zeros where `kind` is gated, which has the biases `b_gate` and `b_mag` and the log scale `r_mag` instead.
      threshold: of jumprelu alone, in units of the pre-activation.
      k: of topk alone.
      input_scale: activations are multiplied by it before they are encoded.
      output_scale: the reconstruction is divided by it.
      subtract_b_dec: whether `b_dec` is taken from the scaled activations before they are encoded.
      meta: facts of its source: `format`, `site`, `id`, `model`, as far as known.
    """

    w_enc: Float[Array, "d n"]
    w_dec: Float[Array, "n d"]
    b_enc: Float[Array, " n"]
    b_dec: Float[Array, " d"]
    threshold: Float[Array, " n"] | None = None
    b_gate: Float[Array, " n"] | None = None
    b_mag: Float[Array, " n"] | None = None
    r_mag: Float[Array, " n"] | None = None
    kind: Kind
    k: int | None = None
    input_scale: float = 1.0
    output_scale: float = 1.0
    subtract_b_dec: bool
    meta: Meta = ()

    @property
    def d(self) -> int:
        """Width of the activations."""
        return self.w_enc.shape[0]

    @property
    def n(self) -> int:
        """Number of latents."""
        return self.w_enc.shape[1]

    @property
    def facts(self) -> dict[str, str | int | float]:
        """`meta` as a mapping."""
        return dict(self.meta)


def pre_activations(sae: SAE, x: Float[Array, "*B d"]) -> Float[Array, "*B n"]:
    """x' W_enc + b_enc with x' = input_scale · x − (b_dec, if the autoencoder subtracts it)."""
    x = jnp.asarray(x, sae.w_enc.dtype)
    scaled = x if sae.input_scale == 1 else sae.input_scale * x
    return _product(scaled - sae.b_dec if sae.subtract_b_dec else scaled, sae.w_enc) + sae.b_enc


def encode(sae: SAE, x: Float[Array, "*B d"]) -> Float[Array, "*B n"]:
    """Activations of the latents, none negative: relu, its k largest (of equal ones the first), jumprelu, or gated.

    Sources: Gao et al. 2024 (arXiv 2406.04093), Rajamanoharan et al. 2024 (arXiv 2407.14435 and 2404.16014).
    """
    pre = pre_activations(sae, x)
    if sae.b_gate is not None and sae.b_mag is not None and sae.r_mag is not None:
        # Columns of W_enc times exp(r_mag) is what exp(r_mag) makes of the product: one product serves both paths.
        return jnp.where(pre + sae.b_gate > 0, jax.nn.relu(pre * jnp.exp(sae.r_mag) + sae.b_mag), 0)
    a = jax.nn.relu(pre)
    if sae.k is not None:
        return jnp.where(largest(a, sae.k), a, 0)
    return a if sae.threshold is None else jnp.where(pre > sae.threshold, a, 0)


def decode(sae: SAE, a: Float[Array, "*B n"]) -> Float[Array, "*B d"]:
    """(a W_dec + b_dec) / output_scale."""
    x = _product(a, sae.w_dec) + sae.b_dec
    return x if sae.output_scale == 1 else x / sae.output_scale


def reconstruct(sae: SAE, x: Float[Array, "*B d"]) -> Float[Array, "*B d"]:
    """What the autoencoder makes of x."""
    return decode(sae, encode(sae, x))
