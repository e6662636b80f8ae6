"""A random two-layer decoder and splits of random prompts for it."""

from functools import lru_cache

import jax
import numpy as np

from jaxtrunc.data import Encoded, pack_batches
from jaxtrunc.evals import EvalSet, Truth
from jaxtrunc.models import DecoderConfig, RopeConfig, abstract_params

CONFIG = DecoderConfig(family="qwen2", vocab_size=96, hidden_size=32, intermediate_size=48, num_layers=2, num_heads=4,
                       num_kv_heads=2, head_dim=8, max_positions=128, rms_norm_eps=1e-6, rope=RopeConfig(theta=1e4),
                       tie_embeddings=False, qkv_bias=True)
SINGLE, STRINGS = ((7,), (11,)), ((7,), (7, 3, 9), (11, 2))


@lru_cache
def random_params(seed=0):
    """Random weights, large enough for logits that differ."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: _draw(rng, leaf.shape), abstract_params(CONFIG))


def random_set(n=37, continuations=SINGLE, scoring="verbalizer", split="test", seed=0, batch_size=8, devices=1,
               prefix=0) -> EvalSet:
    """Prompts of 3 to 40 random tokens, `prefix` of them in common."""
    rng = np.random.default_rng(seed)
    shared = np.random.default_rng(99).integers(1, CONFIG.vocab_size, prefix).tolist()
    bodies = [rng.integers(1, CONFIG.vocab_size, rng.integers(3, 41)).tolist() for _ in range(n)]
    prompts = [shared + body for body in bodies]
    encoded = [Encoded(f"{split}-{i}", f"prompt {i}", ids) for i, ids in enumerate(prompts)]
    rows = bodies if scoring == "verbalizer" else [[*ids, *label] for ids in bodies for label in continuations]
    names = tuple("abc"[:len(continuations)])
    labels, marker = np.arange(n) % len(names), np.arange(n) // len(names) % 2
    directions = {"marker": np.array([1] + [-1] * (len(names) - 1))}
    truth = Truth(split, labels, names, {"marker": marker}, directions, {"marker": None})
    return EvalSet(truth, encoded, continuations, scoring, shared, pack_batches(rows, batch_size, devices))


def _draw(rng, shape):
    return (rng.normal(size=shape) * 0.15 + (len(shape) < 3 and shape[-1:] == (CONFIG.hidden_size,))).astype(np.float32)
