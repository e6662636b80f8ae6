"""Rows of synthetic tokens, and how a model answers them."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, Int32

from jaxtrunc.core.trees import Params
from jaxtrunc.models import DecoderConfig, RopeConfig, head_logits, hidden_states
from jaxtrunc.recipes.steer.rows import Table
from jaxtrunc.steer.losses import cross_entropy


class Rows(NamedTuple):
    """tokens (N, T) int32; labels (N, T): the token to predict after each, −1 where none is asked for."""

    tokens: np.ndarray
    labels: np.ndarray

    def named(self, part: str) -> Table:
        """As the losses want them: tokens, labels and mask, each behind `part`."""
        return {f"{part}tokens": self.tokens, f"{part}labels": self.labels, f"{part}mask": np.ones(self.tokens.shape, bool)}


def rows(sequences: Int[np.ndarray, "N S"], asked: Bool[np.ndarray, "*n S"] | Sequence[int]) -> Rows:
    """Sequences of S = T + 1 tokens, of which those `asked` for (a mask, or places that all rows share) are labels."""
    sequences = np.asarray(sequences, np.int32)
    mask = np.asarray(asked)
    if mask.dtype != bool:
        mask = np.isin(np.arange(sequences.shape[1]), mask)
    return Rows(sequences[:, :-1], np.where(np.broadcast_to(mask, sequences.shape), sequences, -1)[:, 1:])


def shape(vocabulary: int, positions: int) -> DecoderConfig:
    """The decoder of all four tasks: Llama's, two layers of width 64."""
    return DecoderConfig("llama", vocabulary, hidden_size=64, intermediate_size=128, num_layers=2, num_heads=4, num_kv_heads=4,
                         head_dim=16, max_positions=positions, rms_norm_eps=1e-5, rope=RopeConfig(10000.0), tie_embeddings=False)


def logits(params: Params, tokens: jax.Array, *, cfg: DecoderConfig) -> Float[jax.Array, "B T V"]:
    """What is predicted after each token of rows without padding."""
    lengths = jnp.full(tokens.shape[0], tokens.shape[1], jnp.int32)
    return head_logits(params, cfg, hidden_states(params, cfg, tokens, lengths))


@partial(jax.jit, static_argnames="cfg")
def predicted(params: Params, tokens: jax.Array, cfg: DecoderConfig) -> Int32[jax.Array, "N T"]:
    """The most likely next token at each place; where a row's answer is right throughout, it is what greedy decoding writes."""
    return logits(params, tokens, cfg=cfg).argmax(-1).astype(jnp.int32)


def right(params: Params, asked: Rows, cfg: DecoderConfig) -> Bool[np.ndarray, "N T"]:
    """Where the label is the most likely token; False where there is no label."""
    return np.asarray(predicted(params, asked.tokens, cfg)) == asked.labels


def whole(params: Params, asked: Rows, cfg: DecoderConfig) -> float:
    """Share of rows of which every label is predicted."""
    return float((right(params, asked, cfg) | (asked.labels < 0)).all(1).mean())


def each(params: Params, asked: Rows, cfg: DecoderConfig) -> float:
    """Share of labels that are predicted."""
    return float(right(params, asked, cfg).sum() / (asked.labels >= 0).sum())


def perplexity(params: Params, asked: Rows, cfg: DecoderConfig) -> float:
    """exp of the mean −log p of all labels."""
    return float(np.exp(_cross_entropy(params, asked.tokens, asked.labels, cfg)))


@partial(jax.jit, static_argnames="cfg")
def _cross_entropy(params: Params, tokens: jax.Array, labels: jax.Array, cfg: DecoderConfig) -> jax.Array:
    return cross_entropy(logits(params, tokens, cfg=cfg), labels)
