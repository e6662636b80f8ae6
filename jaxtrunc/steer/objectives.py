"""The primary objective and its constraint of each application, as functions `(params, batch) → scalar`.

`batch` is a dict; what a model must do comes in as functions: `logits(params, tokens) (B, T, V)` that predict the labels beside
these tokens, `hidden(params, tokens) (B, T, D)` after the layer that RMU steers. Log-probabilities and hidden states of the frozen
reference are part of the batch, computed once.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxtrunc.steer.losses import MAX_CE, by_modality, cross_entropy, dpo, log_probs, misdirection, npo, retention, unlikelihood

Batch = dict[str, Any]
Loss = Callable[[Any, Batch], jax.Array]
Model = Callable[[Any, Any], jax.Array]


class Objectives(NamedTuple):
    """f and g."""

    primary: Loss
    constraint: Loss


class Both(NamedTuple):
    """Losses and gradients of both."""

    primary: jax.Array
    constraint: jax.Array
    gradients: Any
    constraint_grads: Any


def rmu(hidden: Model, direction: jax.Array, c: float = 20.0, alpha: float = 100.0) -> Objectives:
    """Unlearning by misdirection.

    Batch: forget_tokens, forget_mask, retain_tokens, retain_mask, retain_hidden (of the reference).
    """
    def forget(params: Any, batch: Batch) -> jax.Array:
        return misdirection(hidden(params, batch["forget_tokens"]), batch["forget_mask"], direction, c)

    def retain(params: Any, batch: Batch) -> jax.Array:
        return retention(hidden(params, batch["retain_tokens"]), batch["retain_hidden"], batch["retain_mask"], alpha)

    return Objectives(forget, retain)


def negative_preference(logits: Model, beta: float = 0.1) -> Objectives:
    """Unlearning by NPO, cross-entropy on what is retained.

    Batch: forget_tokens, forget_labels, forget_reference (log π_ref, (B,)), retain_tokens, retain_labels.
    """
    def forget(params: Any, batch: Batch) -> jax.Array:
        return npo(log_probs(logits(params, batch["forget_tokens"]), batch["forget_labels"]), batch["forget_reference"], beta)

    return Objectives(forget, _supervised(logits, "retain"))


def safety(logits: Model, beta: float = 0.01, gamma: float = 1.0) -> Objectives:
    """DPO for the safer response, γ·cross-entropy on helpful data.

    Batch: chosen_ and rejected_ each with tokens, labels, reference; helpful_tokens, helpful_labels (prompt −1).
    """
    def prefer(params: Any, batch: Batch) -> jax.Array:
        chosen, rejected = (log_probs(logits(params, batch[f"{side}_tokens"]), batch[f"{side}_labels"])
                            for side in ("chosen", "rejected"))
        return dpo(chosen, rejected, batch["chosen_reference"], batch["rejected_reference"], beta)

    return Objectives(prefer, _supervised(logits, "helpful", gamma))


def second_modality(logits: Model, text_vocabulary: int) -> Objectives:
    """Text and codec tokens of one interleaved sequence. Batch: tokens, labels."""
    def of(part: int) -> Loss:
        return lambda params, batch: by_modality(logits(params, batch["tokens"]), batch["labels"], text_vocabulary)[part]

    return Objectives(of(0), of(1))


def hallucination(logits: Model, weight: float = 2.0, max_ce: float = MAX_CE) -> Objectives:
    """Away from the unsupported span; keep the supported prefix and learn the corrected continuation.

    Batch: span_, prefix_ and corrected_, each with tokens and labels.
    """
    def away(params: Any, batch: Batch) -> jax.Array:
        return unlikelihood(logits(params, batch["span_tokens"]), batch["span_labels"], weight, max_ce)

    prefix, corrected = _supervised(logits, "prefix"), _supervised(logits, "corrected")
    return Objectives(away, lambda params, batch: prefix(params, batch) + corrected(params, batch))


def loss_pair(objectives: Objectives) -> Callable[[Any, Batch], Both]:
    """One compiled function for both losses and gradients.

    The second pass begins when the first one's gradient is there, so that the activations of only one are held at a time.
    """
    def both(params: Any, batch: Batch) -> Both:
        primary, gradients = jax.value_and_grad(objectives.primary)(params, batch)
        params, gradients = jax.lax.optimization_barrier((params, gradients))
        constraint, constraint_grads = jax.value_and_grad(objectives.constraint)(params, batch)
        return Both(primary, constraint, gradients, constraint_grads)

    return jax.jit(both)


def _supervised(logits: Model, name: str, weight: float = 1.0) -> Loss:
    return lambda params, batch: weight * cross_entropy(logits(params, batch[f"{name}_tokens"]), batch[f"{name}_labels"])
