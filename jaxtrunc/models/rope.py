"""Rotary position tables (Su et al. 2021, arXiv 2104.09864) with the scalings of the Llama family."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxtrunc.models.config import RopeConfig


def inverse_frequencies(rope: RopeConfig, head_dim: int) -> np.ndarray:
    """Angle per position of each rotated pair, float32 (head_dim / 2,)."""
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    plain = np.float32(1.0) / np.float32(rope.theta) ** exponents
    return SCALINGS[rope.kind](plain, rope).astype(np.float32)


def _llama3(plain: np.ndarray, rope: RopeConfig) -> np.ndarray:
    """Long wavelengths are divided by `factor`, short ones kept, those between blended (arXiv 2407.21783)."""
    wavelength = 2 * np.pi / plain
    turns = rope.original_max_positions / wavelength
    blend = (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor)
    blend = np.clip(blend, 0.0, 1.0)
    return (1 - blend) * plain / rope.factor + blend * plain


SCALINGS = {
    "default": lambda plain, rope: plain,
    "linear": lambda plain, rope: plain / rope.factor,
    "llama3": _llama3,
}


def tables(
    rope: RopeConfig, head_dim: int, positions: Int[Array, "B T"]
) -> tuple[Float[Array, "B T 1 H/2"], Float[Array, "B T 1 H/2"]]:
    """Cosine and sine of every (position, pair), float32, with an axis of one for the heads."""
    angles = positions[..., None, None].astype(jnp.float32) * inverse_frequencies(rope, head_dim)
    return jnp.cos(angles), jnp.sin(angles)


def rotate(x: Float[Array, "B T N H"], cos: jax.Array, sin: jax.Array) -> Float[Array, "B T N H"]:
    """Rotate the pairs (x_i, x_{i + H/2}): the half-and-half order of Hugging Face checkpoints."""
    first, second = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
