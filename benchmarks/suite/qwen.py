"""The matrices that are decomposed and cut: shapes of Qwen2.5-0.5B, random weights and an update with a spectrum."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from plan_memory import HALF_B

from jaxtrunc import spectral

TINY = HALF_B | {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 128}
Leaves = dict[str, np.ndarray]


def linear_shapes(config: Mapping[str, Any]) -> Counter[tuple[int, int]]:
    """How many linear matrices of each shape (out, in) a model of the Qwen family has."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    shared = width // config["num_attention_heads"] * config["num_key_value_heads"]
    layer = Counter({(width, width): 2})
    layer.update([(shared, width)] * 2 + [(inner, width)] * 2 + [(width, inner)])
    return Counter({shape: count * config["num_hidden_layers"] for shape, count in layer.items()})


@dataclass(frozen=True)
class Pair:
    """Base and fine-tuned float32 weights of one matrix `(out, in)`, as a checkpoint and as torch hold it."""

    base: np.ndarray
    ft: np.ndarray

    @property
    def update(self) -> np.ndarray:
        """ΔW as both sides see it, float32."""
        return self.ft - self.base

    def leaves(self) -> tuple[Leaves, Leaves, list[spectral.MatrixRef]]:
        """The same memory as our trees hold it, (in, out)."""
        return {"kernel": self.base.T}, {"kernel": self.ft.T}, spectral.references({"kernel": self.base.T.shape})


def random_pair(shape: tuple[int, int]) -> Pair:
    """Normal weights; an update of falling singular values i^−0.8 in random directions, and full-rank noise."""
    rng = np.random.default_rng(0)
    rank = min(shape)
    left, right = (np.linalg.qr(rng.standard_normal((size, rank)))[0] for size in shape)
    signal = (left * (np.arange(1, rank + 1.0) ** -0.8)) @ right.T
    noise = 1e-3 * rng.standard_normal(shape) / max(shape) ** 0.5
    base = (0.02 * rng.standard_normal(shape)).astype(np.float32)
    return Pair(base, base + (signal + noise).astype(np.float32))
