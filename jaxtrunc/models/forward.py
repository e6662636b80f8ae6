"""The decoder as pure functions of a plain parameter tree: what training, evaluation and compilation call."""

from collections.abc import Sequence
from functools import lru_cache

import chex
import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from jaxtrunc.core.mesh import batch_divisor, whole_along_fsdp
from jaxtrunc.core.trees import Params
from jaxtrunc.models import lora
from jaxtrunc.models.config import DecoderConfig, Execution
from jaxtrunc.models.decoder import Decoder, product, soft_cap
from jaxtrunc.models.stack import KeysValues

REFERENCE = Execution()


def abstract_params(cfg: DecoderConfig, dtype=jnp.float32) -> Params:
    """The parameter tree as `ShapeDtypeStruct`s; allocates nothing."""
    state = nnx.to_pure_dict(_skeleton(cfg)[1])
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), state)


def init_params(cfg: DecoderConfig, key: jax.Array) -> Params:
    """Random float32 parameters: normal(0, 0.02) matrices, zero biases, norms with a gain of one."""
    return jax.jit(lambda key: nnx.to_pure_dict(nnx.state(Decoder(cfg, nnx.Rngs(key)))))(key)


def decoder(params: Params, cfg: DecoderConfig) -> Decoder:
    """The NNX module around the arrays of a plain tree (no copy); low-rank factors may stand beside kernels."""
    plain, factors = lora.split_factors(params)
    graph, state = _skeleton(cfg)
    state = jax.tree.map(lambda leaf: leaf, state)
    nnx.replace_by_pure_dict(state, plain)
    return lora.attach(nnx.merge(graph, state), factors)


def hidden_states(
    params: Params,
    cfg: DecoderConfig,
    tokens: Int[Array, "B T"],
    lengths: Int[Array, " B"],
    execution: Execution = REFERENCE,
    *,
    positions: Int[Array, "B T"] | None = None,
    valid: Bool[Array, "B T"] | None = None,
    segments: Int[Array, "B T"] | None = None,
    past: KeysValues | None = None,
    at: Int[Array, "B Q"] | None = None,
) -> Float[Array, "B T D"]:
    """Float32 hidden states after the final norm.

    A row's values depend on that row's tokens alone: padding is masked, positions count from 0. By default rows are
    right padded to `lengths`; for any other padding pass `valid` (true at real tokens) and `positions`.

    Args:
      segments: which of several sequences that lie one after the other in a row each token belongs to; none sees another, and
        the positions of each count from 0.
      past: of `prefix_cache`: what stands before the tokens of every row, or of every segment; positions count on from there.
      at: places in each row, which alone are returned, (B, Q, D).
    """
    positions, mask = arrangement(tokens, lengths, past, positions, valid, segments)
    columns = None if segments is None else _columns(positions, past)
    return decoder(params, cfg)(tokens, positions, mask, execution, past, at, columns)


def arrangement(tokens: Int[Array, "B T"], lengths: Int[Array, " B"], past: KeysValues | None = None,
                positions: Int[Array, "B T"] | None = None, valid: Bool[Array, "B T"] | None = None,
                segments: Int[Array, "B T"] | None = None) -> tuple[Int[Array, "B T"], Bool[Array, "B T S"]]:
    """Positions of the tokens, and which earlier tokens each may look at; arguments as in `hidden_states`."""
    chex.assert_rank(tokens, 2)
    chex.assert_shape(lengths, tokens.shape[:1])  # a scalar or (B, 1) would broadcast in silence
    steps = jnp.arange(tokens.shape[1], dtype=jnp.int32)
    ahead = 0 if past is None else past[0].shape[2]
    if valid is None:
        valid = steps < lengths[:, None]
    mask = (steps[:, None] >= steps) & valid[:, None, :]  # (B, T, T)
    if segments is not None:
        mask &= segments[:, :, None] == segments[:, None, :]
    if positions is None:
        counted = steps if segments is None else jnp.maximum(mask.sum(axis=2, dtype=jnp.int32) - 1, 0)
        positions = jnp.broadcast_to(ahead + counted, tokens.shape)
    chex.assert_equal_shape([tokens, positions, valid])
    return positions, jnp.pad(mask, ((0, 0), (0, 0), (ahead, 0)), constant_values=True)


def _columns(positions: Int[Array, "B T"], past: KeysValues | None) -> Int[Array, "B S"]:
    """The position of every key: of what stands before, then of the tokens themselves."""
    ahead = jnp.arange(0 if past is None else past[0].shape[2], dtype=jnp.int32)
    return jnp.concatenate([jnp.broadcast_to(ahead, (len(positions), len(ahead))), positions], axis=1)


def prefix_cache(params: Params, cfg: DecoderConfig, tokens: Int[Array, " P"], execution: Execution = REFERENCE) -> KeysValues:
    """Keys and values of tokens that many rows begin with, computed once: float32, each (L, R, P, K, H).

    R is 1 on one device; over a mesh every device that has rows of its own computes them for itself, and B rows that go on
    from there are divided evenly among the R.
    """
    chex.assert_rank(tokens, 1)
    copies = 1 if execution.mesh is None else batch_divisor(execution.mesh)
    steps = jnp.arange(len(tokens), dtype=jnp.int32)
    mask = jnp.broadcast_to(steps[:, None] >= steps, (copies, len(tokens), len(tokens)))
    rows, positions = (jnp.broadcast_to(row, (copies, len(tokens))) for row in (tokens, steps))
    return decoder(params, cfg).keys_values(rows, positions, mask, execution)


def head_logits(
    params: Params,
    cfg: DecoderConfig,
    hidden: Float[Array, "*b D"],
    ids: Sequence[int] | Int[Array, " C"] | None = None,
    execution: Execution = REFERENCE,
) -> Float[Array, "*b V"]:
    """Float32 logits over the vocabulary, or over the tokens `ids` alone (then nothing of size V is formed)."""
    if cfg.tie_embeddings:
        rows = whole_along_fsdp(params["embed"]["embedding"], "embed/embedding", execution.mesh)
        logits = product("...d,vd->...v", hidden, rows if ids is None else rows[jnp.asarray(ids)], execution)
    else:
        kernel = whole_along_fsdp(params["lm_head"]["kernel"], "lm_head/kernel", execution.mesh)
        logits = product("...d,dv->...v", hidden, kernel if ids is None else kernel[:, jnp.asarray(ids)], execution)
    return soft_cap(logits, cfg.final_softcap)


@lru_cache(maxsize=16)
def _skeleton(cfg: DecoderConfig):
    """Graph and abstract state of a decoder, without its arrays."""
    return nnx.split(nnx.eval_shape(lambda: Decoder(cfg, nnx.Rngs(0))))
