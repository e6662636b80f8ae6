"""Losses of the four applications, on logits and hidden states; all float32, in nats, a scalar.

`labels (B, T)` are the tokens to predict at each place, −1 where there is none; `logits (B, T, V)` are those that predict them.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

MAX_CE = 10.0

Logits = Float[Array, "B T V"]
Labels = Int[Array, "B T"]
Hidden = Float[Array, "B T D"]
Mask = Bool[Array, "B T"]


def token_log_probs(logits: Logits, labels: Labels) -> Float[Array, "B T"]:
    """log p(label), 0 where there is none."""
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits.astype(jnp.float32)), jnp.maximum(labels, 0)[..., None], axis=-1)[..., 0]
    return jnp.where(labels >= 0, picked, 0)


def log_probs(logits: Logits, labels: Labels) -> Float[Array, " B"]:
    """log π of each row's answer: the sum over its labels."""
    return token_log_probs(logits, labels).sum(1)


def cross_entropy(logits: Logits, labels: Labels) -> jax.Array:
    """Mean of −log p over all labels."""
    return -token_log_probs(logits, labels).sum() / jnp.maximum(jnp.sum(labels >= 0), 1)


def divergence(logits: Logits, reference: Logits, mask: Mask) -> jax.Array:
    """Mean over places of KL(reference ‖ model)."""
    model, frozen = (jax.nn.log_softmax(x.astype(jnp.float32)) for x in (logits, reference))
    return _mean(jnp.sum(jnp.exp(frozen) * (frozen - model), -1), mask)


def control_vector(key: jax.Array, size: int) -> Float[Array, " D"]:
    """RMU's u: entries uniform in [0, 1), of length one; the same in all steps."""
    drawn = jax.random.uniform(key, (size,))
    return drawn / jnp.linalg.norm(drawn)


def misdirection(hidden: Hidden, mask: Mask, direction: Float[Array, " D"], c: float = 20.0) -> jax.Array:
    """RMU on what is forgotten: mean of (h − c·u)² over real tokens and features (Li et al. 2024, arXiv 2403.03218)."""
    return _mean(jnp.mean((hidden.astype(jnp.float32) - c * direction) ** 2, -1), mask)


def retention(hidden: Hidden, frozen: Hidden, mask: Mask, alpha: float = 100.0) -> jax.Array:
    """RMU on what is retained: α·mean of (h − h_ref)²."""
    return alpha * _mean(jnp.mean((hidden.astype(jnp.float32) - frozen) ** 2, -1), mask)


def npo(log_prob: Float[Array, " B"], reference: Float[Array, " B"], beta: float = 0.1) -> jax.Array:
    """−(2/β) mean log σ(−β(log π − log π_ref)) over rows (Zhang et al. 2024, arXiv 2404.05868)."""
    return -2 / beta * jnp.mean(jax.nn.log_sigmoid(-beta * (log_prob - reference)))


def dpo(chosen: Float[Array, " B"], rejected: Float[Array, " B"], chosen_reference: Float[Array, " B"],
        rejected_reference: Float[Array, " B"], beta: float = 0.01) -> jax.Array:
    """−mean log σ(β(log-ratio of chosen − that of rejected)) (Rafailov et al. 2023, arXiv 2305.18290)."""
    return -jnp.mean(jax.nn.log_sigmoid(beta * ((chosen - chosen_reference) - (rejected - rejected_reference))))


def by_modality(logits: Logits, labels: Labels, text_vocabulary: int) -> tuple[jax.Array, jax.Array]:
    """Cross-entropy of text labels and of codec labels (ids ≥ `text_vocabulary`), each times its share of the labels."""
    total = jnp.maximum(jnp.sum(labels >= 0), 1)
    codec = labels >= text_vocabulary
    kinds = (jnp.where(codec, -1, labels), jnp.where(codec, labels, -1))
    text, sound = (-token_log_probs(logits, of_kind).sum() / total for of_kind in kinds)
    return text, sound


def unlikelihood(logits: Logits, span: Labels, weight: float = 2.0, max_ce: float = MAX_CE) -> jax.Array:
    """−λ·min(CE, max_ce) of an unsupported span: pushed away until it is unlikely enough, then no longer."""
    return -weight * jnp.minimum(cross_entropy(logits, span), max_ce)


def _mean(values: Float[Array, "B T"], mask: Mask) -> jax.Array:
    return jnp.sum(jnp.where(mask, values, 0)) / jnp.maximum(jnp.sum(mask), 1)
