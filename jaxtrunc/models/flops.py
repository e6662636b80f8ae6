"""Floating-point operations of the decoder's matrix products, from shapes: a multiplication and an addition count as two.

Attention scores are left out, which a short prompt hardly feels.
"""

from jaxtrunc.models.config import DecoderConfig


def keys_values_per_token(cfg: DecoderConfig) -> int:
    """Of one layer: what other tokens look at."""
    return 2 * cfg.hidden_size * 2 * cfg.num_kv_heads * cfg.head_dim


def layer_per_token(cfg: DecoderConfig) -> int:
    """Of one layer: keys and values, queries and output, the three matrices of the MLP."""
    queries_and_output = 2 * 2 * cfg.hidden_size * cfg.num_heads * cfg.head_dim
    return keys_values_per_token(cfg) + queries_and_output + 3 * 2 * cfg.hidden_size * cfg.intermediate_size


def body_per_token(cfg: DecoderConfig) -> int:
    """Of all layers."""
    return cfg.num_layers * layer_per_token(cfg)


def head(cfg: DecoderConfig) -> int:
    """Logits at one position."""
    return 2 * cfg.vocab_size * cfg.hidden_size


def body(cfg: DecoderConfig, tokens: int, read: int) -> int:
    """Of all layers where `tokens` are passed through and hidden states are read at `read` of them.

    The last layer needs keys and values at every token, and all else where it is read.
    """
    rest = layer_per_token(cfg) - keys_values_per_token(cfg)
    return body_per_token(cfg) * tokens - rest * (tokens - read)
