"""What a direction of the residual stream says in words: tokens it raises and lowers (logit lens), features beside it."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxtrunc.models import head_logits
from jaxtrunc.recipes.sae.base import Base
from jaxtrunc.sae.sae import SAE

TOKENS, NEAREST = 10, 3


def logit_lens(base: Base, rows: Float[np.ndarray, "m d"]) -> list[dict[str, list[dict[str, Any]]]]:
    """`top` and `bottom` tokens of each row, taken as a state: times the final norm's gain and the unembedding, nothing else.

    Not divided by a norm and not capped: only the order means something (nostalgebraist 2020).
    """
    cfg = dataclasses.replace(base.cfg, final_softcap=None)
    gain = cfg.norm_offset + base.params["final_norm"]["scale"]
    logits = head_logits(base.params, cfg, jnp.asarray(rows, jnp.float32) * gain)[:, :len(base.chat.tokenizer)]
    ends = {"top": jax.lax.top_k(logits, TOKENS), "bottom": jax.lax.top_k(-logits, TOKENS)}
    found = {name: (np.asarray(values), np.asarray(ids)) for name, (values, ids) in ends.items()}
    signs = {"top": 1, "bottom": -1}
    return [{name: [{"id": int(token), "token": base.chat.tokenizer.decode([int(token)]), "logit": float(signs[name] * value)}
                    for value, token in zip(found[name][0][row], found[name][1][row], strict=True)] for name in ends}
            for row in range(len(rows))]


def nearest(sae: SAE, index: np.ndarray) -> list[list[dict[str, Any]]]:
    """The features whose decoder rows are nearest in cosine to each of those in `index`, itself left out."""
    cosines = np.array(_cosines(sae, jnp.asarray(sae.w_dec)[jnp.asarray(index)]))
    cosines[np.arange(len(index)), index] = -np.inf
    return [_largest(row, NEAREST) for row in cosines]


def best_matching(sae: SAE, columns: Float[np.ndarray, "d r"], count: int) -> list[list[dict[str, Any]]]:
    """The features whose decoder rows are most nearly parallel to each column, with the signed cosine."""
    cosines = np.array(_cosines(sae, jnp.asarray(columns.T)))
    orders = (np.argsort(-np.abs(row), kind="stable")[:count] for row in cosines)
    return [[{"feature": int(i), "cosine": float(row[i])} for i in order] for row, order in zip(cosines, orders, strict=True)]


def _largest(cosines: np.ndarray, count: int) -> list[dict[str, Any]]:
    return [{"feature": int(i), "cosine": float(cosines[i])} for i in np.argsort(-cosines, kind="stable")[:count]]


def _cosines(sae: SAE, rows: jax.Array) -> jax.Array:
    return _unit(rows) @ _unit(sae.w_dec).T


def _unit(rows: jax.Array) -> jax.Array:
    return rows / jnp.maximum(jnp.linalg.norm(rows, axis=-1, keepdims=True), 1e-30)
