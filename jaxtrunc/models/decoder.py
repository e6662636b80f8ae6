"""The decoder: Flax NNX modules whose parameter tree is the one of the whole project.

Axis letters: B batch, T query positions, S key positions, D width, N query heads, K key/value heads, G query heads per
key/value head, H head width, F MLP width, L layers, M masks, V vocabulary, Q positions that are asked for, R rows of
a prefix that all rows share, P its length.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from jaxtrunc.core.mesh import whole_along_fsdp
from jaxtrunc.models import rope
from jaxtrunc.models.config import DecoderConfig, Execution
from jaxtrunc.models.lora import dropped
from jaxtrunc.models.stack import KeysValues, Passed, View, layer_masks, pick, run_layers
from jaxtrunc.models.visits import Visit, Visits, as_it_is

MASKED = -1e30  # finite, so that a row of padding alone gives numbers and not NaN
ACTIVATIONS = {"silu": jax.nn.silu, "gelu_pytorch_tanh": partial(jax.nn.gelu, approximate=True)}


def product(equation: str, x: jax.Array, y: jax.Array, execution: Execution) -> jax.Array:
    """Einsum with operands in the compute dtype and a float32 result."""
    dtype = jnp.dtype(execution.compute_dtype)
    precision = jax.lax.Precision.HIGHEST if dtype == jnp.float32 else None
    operands = (x.astype(dtype), y.astype(dtype))
    return jnp.einsum(equation, *operands, precision=precision, preferred_element_type=jnp.float32)


def soft_cap(x: jax.Array, cap: float | None) -> jax.Array:
    """cap·tanh(x / cap): almost the identity near zero, never beyond ±cap (Bello et al. 2016, arXiv 1611.09940)."""
    return x if cap is None else cap * jnp.tanh(x / cap)


class Linear(nnx.Module):
    """`x @ kernel (+ bias)`; kernel (in, out). With factors beside it (`models/lora.py`), `+ (x @ lora_a) @ lora_b`."""

    lora_a: nnx.Param
    lora_b: nnx.Param
    lora_keys: nnx.Param
    lora_rate: nnx.Param

    def __init__(self, width_in: int, width_out: int, bias: bool, rngs: nnx.Rngs):
        self.kernel = nnx.Param(_normal(rngs, (width_in, width_out)))
        if bias:
            self.bias = nnx.Param(jnp.zeros(width_out))

    def __call__(self, x: Float[Array, "B T I"], execution: Execution) -> Float[Array, "B T O"]:
        y = product("bti,io->bto", x, self.kernel[...], execution)
        if hasattr(self, "lora_a"):
            read = dropped(x, self.lora_keys[...], self.lora_rate[...]) if hasattr(self, "lora_keys") else x
            y = y + product("btr,ro->bto", product("bti,ir->btr", read, self.lora_a[...], execution), self.lora_b[...], execution)
        return y + self.bias[...].astype(jnp.float32) if hasattr(self, "bias") else y


class RMSNorm(nnx.Module):
    """x / rms(x) · (offset + scale) in float32 (Zhang and Sennrich 2019, arXiv 1910.07467); it begins with a gain of one."""

    def __init__(self, width: int, cfg: DecoderConfig):
        self.scale = nnx.Param(jnp.full(width, 1.0 - cfg.norm_offset))
        self.eps, self.offset = cfg.rms_norm_eps, cfg.norm_offset

    def __call__(self, x: Float[Array, "*b D"]) -> Float[Array, "*b D"]:
        x = x.astype(jnp.float32)
        mean_square = jnp.mean(x * x, axis=-1, keepdims=True)
        return x * jax.lax.rsqrt(mean_square + self.eps) * (self.offset + self.scale[...].astype(jnp.float32))


class Embedding(nnx.Module):
    """One row per token, times a constant; embedding (V, D)."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.embedding = nnx.Param(_normal(rngs, (cfg.vocab_size, cfg.hidden_size)))
        self.factor = cfg.embed_scale

    def __call__(self, tokens: Int[Array, "B T"], execution: Execution) -> Float[Array, "B T D"]:
        factor = jnp.asarray(self.factor, execution.compute_dtype).astype(jnp.float32)  # √3584 was 59.75 in training, not 59.87
        table = whole_along_fsdp(self.embedding[...], "embed/embedding", execution.mesh)
        return table[tokens].astype(jnp.float32) * factor


class Attention(nnx.Module):
    """Causal self-attention with grouped key/value heads (Ainslie et al. 2023, arXiv 2305.13245)."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        inner, shared = cfg.num_heads * cfg.head_dim, cfg.num_kv_heads * cfg.head_dim
        self.q_proj = Linear(cfg.hidden_size, inner, cfg.qkv_bias, rngs)
        self.k_proj = Linear(cfg.hidden_size, shared, cfg.qkv_bias, rngs)
        self.v_proj = Linear(cfg.hidden_size, shared, cfg.qkv_bias, rngs)
        self.o_proj = Linear(inner, cfg.hidden_size, cfg.o_bias, rngs)
        if cfg.qk_norm:
            self.q_norm, self.k_norm = RMSNorm(cfg.head_dim, cfg), RMSNorm(cfg.head_dim, cfg)
        self.head_dim, self.softcap = cfg.head_dim, cfg.attention_softcap
        self.scale = cfg.head_dim**-0.5 if cfg.attention_scale is None else cfg.attention_scale

    def __call__(self, x: jax.Array, angles: tuple[jax.Array, jax.Array], mask: jax.Array, execution: Execution,
                 past: KeysValues | None = None, at: Int[Array, "B Q"] | None = None, visit: Visit = as_it_is):
        """x (B,T,D), rotary tables, mask (B,T,S) true where a query may look → (B,T,D), or (B,Q,D) for the queries `at`."""
        key, value = self.keys_values(x, angles, execution)
        if past is not None:
            key, value = (jnp.concatenate([jnp.repeat(old, len(x) // len(old), axis=0), new], axis=1)
                          for old, new in zip(past, (key, value), strict=True))
        query = self._heads(self.q_proj(pick(x, at), execution))
        if hasattr(self, "q_norm"):
            query = self.q_norm(query)
        query = rope.rotate(query, *(pick(table, at) for table in angles))
        mixed = attend(query, key, value, pick(mask, at), self.scale, self.softcap, execution)
        return self.o_proj(visit("attn_z", mixed.reshape(*mixed.shape[:2], -1)), execution)

    def keys_values(self, x: jax.Array, angles: tuple[jax.Array, jax.Array], execution: Execution) -> KeysValues:
        """What later positions look at: x (B,T,D) → keys, rotated, and values, each (B,T,K,H)."""
        key, value = (self._heads(p(x, execution)) for p in (self.k_proj, self.v_proj))
        return rope.rotate(self.k_norm(key) if hasattr(self, "k_norm") else key, *angles), value

    def _heads(self, x: Float[Array, "B T NH"]) -> Float[Array, "B T N H"]:
        return x.reshape(*x.shape[:2], -1, self.head_dim)


def attend(
    query: Float[Array, "B T N H"],
    key: Float[Array, "B S K H"],
    value: Float[Array, "B S K H"],
    mask: Bool[Array, "B T S"],
    scale: float,
    softcap: float | None,
    execution: Execution,
) -> Float[Array, "B T N H"]:
    """Softmax attention; the N query heads are grouped over the K key heads, which are never repeated in memory."""
    batch, length, heads, width = query.shape
    grouped = query.reshape(batch, length, key.shape[2], -1, width)  # (B, T, K, G, H)
    scores = product("btkgh,bskh->bkgts", grouped, key, execution) * scale
    scores = jnp.where(mask[:, None, None], soft_cap(scores, softcap), MASKED)
    mixed = product("bkgts,bskh->btkgh", jax.nn.softmax(scores, axis=-1), value, execution)
    return mixed.reshape(batch, length, heads, width)


class GatedMLP(nnx.Module):
    """down(activation(gate(x)) · up(x)) (Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.gate_proj = Linear(cfg.hidden_size, cfg.intermediate_size, cfg.mlp_bias, rngs)
        self.up_proj = Linear(cfg.hidden_size, cfg.intermediate_size, cfg.mlp_bias, rngs)
        self.down_proj = Linear(cfg.intermediate_size, cfg.hidden_size, cfg.mlp_bias, rngs)
        self.activation = cfg.activation

    def __call__(self, x: Float[Array, "B T D"], execution: Execution, visit: Visit = as_it_is) -> Float[Array, "B T D"]:
        gated = ACTIVATIONS[self.activation](self.gate_proj(x, execution)) * self.up_proj(x, execution)
        return self.down_proj(visit("mlp_z", gated), execution)


class Block(nnx.Module):
    """One layer: pre-normalised attention and MLP around a float32 residual stream.

    The norms keep their Hugging Face names: with sandwich norms `post_attention_norm` is what it says, without them it
    is the one before the MLP.
    """

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.input_norm = RMSNorm(cfg.hidden_size, cfg)
        self.attn = Attention(cfg, rngs)
        self.post_attention_norm = RMSNorm(cfg.hidden_size, cfg)
        self.mlp = GatedMLP(cfg, rngs)
        if cfg.sandwich_norms:
            self.pre_feedforward_norm = RMSNorm(cfg.hidden_size, cfg)
            self.post_feedforward_norm = RMSNorm(cfg.hidden_size, cfg)

    def __call__(self, x: jax.Array, angles: tuple[jax.Array, jax.Array], mask: jax.Array, execution: Execution,
                 past: KeysValues | None = None, at: Int[Array, "B Q"] | None = None, visit: Visit = as_it_is):
        """x (B,T,D) → (B,T,D), or (B,Q,D) for the positions `at`; `visit` sees the places that `visits` names."""
        attended = self.attn(self.input_norm(x), angles, mask, execution, past, at, visit)
        x = pick(x, at)
        if hasattr(self, "pre_feedforward_norm"):
            x = x + visit("attn_out", self.post_attention_norm(attended))
            written = self.post_feedforward_norm(self.mlp(self.pre_feedforward_norm(x), execution, visit))
        else:
            x = x + visit("attn_out", attended)
            written = self.mlp(self.post_attention_norm(x), execution, visit)
        return visit("resid_post", x + visit("mlp_out", written))

    @property
    def widths(self) -> dict[str, int]:
        """Kind of site → width of its state."""
        inner, stream = self.attn.o_proj.kernel.shape[-2:]
        return {"resid_post": stream, "attn_out": stream, "mlp_out": stream, "attn_z": inner,
                "mlp_z": self.mlp.down_proj.kernel.shape[-2]}

    def keys_values(self, x: jax.Array, angles: tuple[jax.Array, jax.Array], execution: Execution) -> KeysValues:
        """Keys and values of this layer's input."""
        return self.attn.keys_values(self.input_norm(x), angles, execution)


class Decoder(nnx.Module):
    """Embedding, L blocks stacked on axis 0, final norm, and a head of its own unless it is tied."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.cfg = cfg
        self.embed = Embedding(cfg, rngs)
        self.layers = jax.vmap(lambda key: Block(cfg, nnx.Rngs(key)))(jax.random.split(rngs(), cfg.num_layers))
        self.final_norm = RMSNorm(cfg.hidden_size, cfg)
        if not cfg.tie_embeddings:
            self.lm_head = Linear(cfg.hidden_size, cfg.vocab_size, False, rngs)

    def __call__(self, tokens: Int[Array, "B T"], positions: Int[Array, "B T"], mask: Bool[Array, "B T S"], execution: Execution,
                 past: KeysValues | None = None, at: Int[Array, "B Q"] | None = None, columns: Int[Array, "B S"] | None = None):
        """Hidden states after the final norm, float32 (B,T,D), or (B,Q,D) at the places `at`; `past` stands before."""
        return self.final_norm(self.run(tokens, positions, mask, execution, past=past, at=at, columns=columns).x)

    def keys_values(self, tokens: Int[Array, "R P"], positions: Int[Array, "R P"], mask: Bool[Array, "R P P"], execution):
        """Keys and values of every layer, each (L,R,P,K,H)."""
        kept = self.run(tokens, positions, mask, execution, keep=True).kept
        assert kept is not None
        return kept

    def run(self, tokens: Int[Array, "B T"], positions: Int[Array, "B T"], mask: Bool[Array, "B T S"], execution: Execution, *,
            columns: Int[Array, "B S"] | None = None, visits: Visits | None = None, **options) -> Passed:
        """The layers without the final norm; `options` as in `run_layers`, `columns` as in `layer_masks`."""
        view = View(rope.tables(self.cfg.rope, self.cfg.head_dim, positions), *layer_masks(self.cfg, mask, columns))
        visits = visits and visits.checked(self.cfg.num_layers)
        return run_layers(self.layers, self.embed(tokens, execution), view, execution, visits=visits, **options)


def _normal(rngs: nnx.Rngs, shape: tuple[int, ...]) -> jax.Array:
    return 0.02 * jax.random.normal(rngs(), shape)  # the initializer_range of the families' published configs
