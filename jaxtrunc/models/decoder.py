"""The decoder: Flax NNX modules whose parameter tree is the one of the whole project.

Axis letters: B batch, T query positions, S key positions, D width, N query heads, K key/value heads, G query heads per
key/value head, H head width, F MLP width, L layers, V vocabulary.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from jaxtrunc.models import rope
from jaxtrunc.models.config import DecoderConfig, Execution

MASKED = -1e30  # finite, so that a row of padding alone gives numbers and not NaN


def product(equation: str, x: jax.Array, y: jax.Array, execution: Execution) -> jax.Array:
    """Einsum with operands in the compute dtype and a float32 result."""
    dtype = jnp.dtype(execution.compute_dtype)
    precision = jax.lax.Precision.HIGHEST if dtype == jnp.float32 else None
    operands = (x.astype(dtype), y.astype(dtype))
    return jnp.einsum(equation, *operands, precision=precision, preferred_element_type=jnp.float32)


class Linear(nnx.Module):
    """`x @ kernel (+ bias)`; kernel (in, out)."""

    def __init__(self, width_in: int, width_out: int, bias: bool, rngs: nnx.Rngs):
        self.kernel = nnx.Param(_normal(rngs, (width_in, width_out)))
        if bias:
            self.bias = nnx.Param(jnp.zeros(width_out))

    def __call__(self, x: Float[Array, "B T I"], execution: Execution) -> Float[Array, "B T O"]:
        y = product("bti,io->bto", x, self.kernel[...], execution)
        return y + self.bias[...].astype(jnp.float32) if hasattr(self, "bias") else y


class RMSNorm(nnx.Module):
    """x / rms(x) · scale in float32 (Zhang and Sennrich 2019, arXiv 1910.07467)."""

    def __init__(self, width: int, eps: float):
        self.scale = nnx.Param(jnp.ones(width))
        self.eps = eps

    def __call__(self, x: Float[Array, "*b D"]) -> Float[Array, "*b D"]:
        x = x.astype(jnp.float32)
        mean_square = jnp.mean(x * x, axis=-1, keepdims=True)
        return x * jax.lax.rsqrt(mean_square + self.eps) * self.scale[...].astype(jnp.float32)


class Embedding(nnx.Module):
    """One row per token; embedding (V, D)."""

    def __init__(self, vocab_size: int, width: int, rngs: nnx.Rngs):
        self.embedding = nnx.Param(_normal(rngs, (vocab_size, width)))

    def __call__(self, tokens: Int[Array, "B T"]) -> Float[Array, "B T D"]:
        return self.embedding[...][tokens].astype(jnp.float32)


class Attention(nnx.Module):
    """Causal self-attention with grouped key/value heads (Ainslie et al. 2023, arXiv 2305.13245)."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        inner, shared = cfg.num_heads * cfg.head_dim, cfg.num_kv_heads * cfg.head_dim
        self.q_proj = Linear(cfg.hidden_size, inner, cfg.qkv_bias, rngs)
        self.k_proj = Linear(cfg.hidden_size, shared, cfg.qkv_bias, rngs)
        self.v_proj = Linear(cfg.hidden_size, shared, cfg.qkv_bias, rngs)
        self.o_proj = Linear(inner, cfg.hidden_size, cfg.o_bias, rngs)
        self.head_dim = cfg.head_dim

    def __call__(self, x: jax.Array, angles: tuple[jax.Array, jax.Array], mask: jax.Array, execution: Execution):
        """x (B,T,D), rotary tables, mask (B,T,S) true where a query may look → (B,T,D)."""
        query, key, value = (self._heads(p(x, execution)) for p in (self.q_proj, self.k_proj, self.v_proj))
        query, key = rope.rotate(query, *angles), rope.rotate(key, *angles)
        mixed = attend(query, key, value, mask, execution)
        return self.o_proj(mixed.reshape(*mixed.shape[:2], -1), execution)

    def _heads(self, x: Float[Array, "B T NH"]) -> Float[Array, "B T N H"]:
        return x.reshape(*x.shape[:2], -1, self.head_dim)


def attend(
    query: Float[Array, "B T N H"],
    key: Float[Array, "B S K H"],
    value: Float[Array, "B S K H"],
    mask: Bool[Array, "B T S"],
    execution: Execution,
) -> Float[Array, "B T N H"]:
    """Softmax attention; the N query heads are grouped over the K key heads, which are never repeated in memory."""
    batch, length, heads, width = query.shape
    grouped = query.reshape(batch, length, key.shape[2], -1, width)  # (B, T, K, G, H)
    scores = product("btkgh,bskh->bkgts", grouped, key, execution) * width**-0.5
    scores = jnp.where(mask[:, None, None], scores, MASKED)
    mixed = product("bkgts,bskh->btkgh", jax.nn.softmax(scores, axis=-1), value, execution)
    return mixed.reshape(batch, length, heads, width)


class GatedMLP(nnx.Module):
    """down(silu(gate(x)) · up(x)) (Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.gate_proj = Linear(cfg.hidden_size, cfg.intermediate_size, cfg.mlp_bias, rngs)
        self.up_proj = Linear(cfg.hidden_size, cfg.intermediate_size, cfg.mlp_bias, rngs)
        self.down_proj = Linear(cfg.intermediate_size, cfg.hidden_size, cfg.mlp_bias, rngs)

    def __call__(self, x: Float[Array, "B T D"], execution: Execution) -> Float[Array, "B T D"]:
        gated = jax.nn.silu(self.gate_proj(x, execution)) * self.up_proj(x, execution)
        return self.down_proj(gated, execution)


class Block(nnx.Module):
    """One layer: pre-normalised attention and MLP around a float32 residual stream."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.input_norm = RMSNorm(cfg.hidden_size, cfg.rms_norm_eps)
        self.attn = Attention(cfg, rngs)
        self.post_attention_norm = RMSNorm(cfg.hidden_size, cfg.rms_norm_eps)
        self.mlp = GatedMLP(cfg, rngs)

    def __call__(self, x: jax.Array, angles: tuple[jax.Array, jax.Array], mask: jax.Array, execution: Execution):
        """x (B,T,D) → (B,T,D)."""
        x = x + self.attn(self.input_norm(x), angles, mask, execution)
        return x + self.mlp(self.post_attention_norm(x), execution)


class Decoder(nnx.Module):
    """Embedding, L blocks stacked on axis 0, final norm, and a head of its own unless it is tied."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.cfg = cfg
        self.embed = Embedding(cfg.vocab_size, cfg.hidden_size, rngs)
        self.layers = jax.vmap(lambda key: Block(cfg, nnx.Rngs(key)))(jax.random.split(rngs(), cfg.num_layers))
        self.final_norm = RMSNorm(cfg.hidden_size, cfg.rms_norm_eps)
        if not cfg.tie_embeddings:
            self.lm_head = Linear(cfg.hidden_size, cfg.vocab_size, False, rngs)

    def __call__(self, tokens: Int[Array, "B T"], positions: Int[Array, "B T"], mask: Bool[Array, "B T S"], execution):
        """Hidden states after the final norm, float32 (B,T,D)."""
        angles = rope.tables(self.cfg.rope, self.cfg.head_dim, positions)
        x = run_layers(self.layers, self.embed(tokens), angles, mask, execution)
        return self.final_norm(x)


def run_layers(layers: Block, x: jax.Array, angles, mask: jax.Array, execution: Execution) -> jax.Array:
    """Apply the one block function L times, by `lax.scan` or by an unrolled loop over the stacked slices."""

    def step(x: jax.Array, block: Block) -> tuple[jax.Array, None]:
        return block(x, angles, mask, execution), None

    if execution.remat:
        step = jax.checkpoint(step)
    if execution.scans:
        return jax.lax.scan(step, x, layers)[0]
    for layer in range(jax.tree.leaves(layers)[0].shape[0]):
        x, _ = step(x, jax.tree.map(lambda leaf, i=layer: leaf[i], layers))
    return x


def _normal(rngs: nnx.Rngs, shape: tuple[int, ...]) -> jax.Array:
    return 0.02 * jax.random.normal(rngs(), shape)  # the initializer_range of both families' published configs
