"""Greedy continuation of prompts: keys and values are kept, one compiled program per shape of prompts and number of tokens."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Int

from jaxtrunc.core.mesh import replicated
from jaxtrunc.core.trees import Params
from jaxtrunc.models.config import DecoderConfig, Execution
from jaxtrunc.models.decoder import Decoder
from jaxtrunc.models.forward import REFERENCE, arrangement, decoder, head_logits
from jaxtrunc.models.stack import KeysValues
from jaxtrunc.models.visits import Visits

AFTER_STOP = -1


def generate(params: Params, cfg: DecoderConfig, tokens: Int[Array, "B T"], lengths: Int[Array, " B"], new_tokens: int,
             stop_ids: Sequence[int] = (), execution: Execution = REFERENCE, *,
             edits: Mapping[str, Partial] | None = None) -> Int[Array, "B N"]:
    """The likeliest next token, again and again: int32 (B, new_tokens), −1 after a row's first stop token.

    Args:
      tokens: right-padded prompts of `lengths` ≥ 1 tokens.
      stop_ids: tokens that end a row; they are the last that is returned of it.
      edits: site → what the pass continues with there, as in `edited`; position by position, and a pytree, so that another
        strength of the same edit is no other program.
    """
    return _generate(params, cfg, jnp.asarray(tokens), jnp.asarray(lengths), np.array(stop_ids, np.int32), new_tokens, execution,
                     dict(edits or {}))


class _Progress(NamedTuple):
    """Tokens found so far, the newest, which rows have ended, and room for the keys and values of all columns."""

    count: jax.Array
    newest: Int[Array, " B"]
    ended: Bool[Array, " B"]
    found: Int[Array, "B N"]
    cache: KeysValues


@partial(jax.jit, static_argnums=(1, 5, 6))
def _generate(params: Params, cfg: DecoderConfig, tokens: jax.Array, lengths: jax.Array, stop_ids: jax.Array, new_tokens: int,
              execution: Execution, edits: dict[str, Partial]) -> jax.Array:
    model, visits = decoder(params, cfg), Visits((), edits) if edits else None

    def taken(state: _Progress, x: jax.Array, cache: KeysValues) -> _Progress:
        """The likeliest token after the stream x (B, 1, D) joins what was found."""
        newest = jnp.argmax(head_logits(params, cfg, model.final_norm(x)[:, 0], execution=execution), axis=-1).astype(jnp.int32)
        found = state.found.at[:, state.count].set(jnp.where(state.ended, AFTER_STOP, newest))
        return _Progress(state.count + 1, newest, state.ended | jnp.isin(newest, stop_ids), found, cache)

    def step(state: _Progress) -> _Progress:
        passed = _next(model, state, tokens.shape[1], lengths, execution, visits)
        return taken(state, passed.x, _written(state.cache, passed.kept, tokens.shape[1] + state.count - 1))

    positions, mask = arrangement(tokens, lengths)
    prompt = model.run(tokens, positions, mask, execution, at=lengths[:, None] - 1, keep=True, visits=visits)
    room = jax.tree.map(lambda kept: jnp.pad(kept, ((0, 0), (0, 0), (0, new_tokens - 1), (0, 0), (0, 0))), prompt.kept)
    nothing = jnp.full((len(tokens), new_tokens), AFTER_STOP, jnp.int32)
    first = taken(_Progress(jnp.int32(0), jnp.zeros_like(lengths), jnp.zeros(len(tokens), bool), nothing, room), prompt.x, room)
    last = jax.lax.while_loop(lambda state: (state.count < new_tokens) & ~state.ended.all(), step, first)
    return last.found if execution.mesh is None else jax.lax.with_sharding_constraint(last.found, replicated(execution.mesh))


def _next(model: Decoder, state: _Progress, width: int, lengths: jax.Array, execution: Execution, visits: Visits | None):
    """One token further. Columns: the padded prompt, then the room for what is found, then the newest token itself."""
    room = state.cache[0].shape[2] - width
    steps, later = jnp.arange(width), jnp.arange(room)
    here = lengths[:, None] + state.count - 1
    columns = jnp.concatenate([jnp.broadcast_to(steps, (len(lengths), width)), lengths[:, None] + later, here], axis=1)
    written = jnp.broadcast_to(later < state.count - 1, (len(lengths), room))
    mask = jnp.concatenate([steps < lengths[:, None], written, jnp.ones_like(here, bool)], axis=1)[:, None]
    return model.run(state.newest[:, None], here, mask, execution, past=state.cache, keep=True, columns=columns, visits=visits)


def _written(cache: KeysValues, kept: KeysValues | None, column: jax.Array) -> KeysValues:
    """The cache with the keys and values of one more column."""
    assert kept is not None
    return jax.tree.map(lambda old, new: jax.lax.dynamic_update_slice_in_dim(old, new, column, axis=2), cache, kept)
