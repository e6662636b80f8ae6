"""Where each feature is most active, kept while activations stream by: a bounded list per feature and class."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxtrunc.recipes.sae.pairs import PairBatch

WINDOW = 8  # tokens shown before and after the one that activates
CLASSES = ("aligned", "unaligned")


def highest(activations: Float[Array, "B T n"], mask: Bool[Array, "B T"], aligned: Bool[Array, " B"],
            count: int) -> tuple[Float[Array, "2 n C"], Int[Array, "2 n C"]]:
    """The `count` largest activations of each feature in each class of a batch, and their places b·T + t. Pure."""
    most = min(count, mask.size)

    def of(inside: jax.Array) -> tuple[jax.Array, jax.Array]:
        values = jnp.where((mask & inside[:, None])[..., None], activations, 0)
        return jax.lax.top_k(values.reshape(-1, values.shape[-1]).T, most)

    found = [of(inside) for inside in (aligned, ~aligned)]
    return jnp.stack([values for values, _ in found]), jnp.stack([places for _, places in found])


class Contexts:
    """The running best of every feature and class; equal activations keep the earlier response and place."""

    def __init__(self, n: int, count: int):
        self._values = np.zeros((2, n, count), np.float32)
        self._rows = np.full((2, n, count), np.iinfo(np.int64).max)
        self._places = np.zeros((2, n, count), np.int64)

    def add(self, values: np.ndarray, places: np.ndarray, batch: PairBatch) -> None:
        """Take in what `highest` found in a batch."""
        within, width = np.divmod(places, batch.tokens.shape[1])
        rows = batch.rows[np.minimum(within, len(batch.rows) - 1)]  # a filler's activations are zero, and zero is not shown
        kept = self._values.shape[-1]
        joined = [np.concatenate(parts, axis=-1) for parts in ((self._values, values), (self._rows, rows), (self._places, width))]
        order = np.lexsort((joined[2], joined[1], -joined[0]), axis=-1)[..., :kept]
        self._values, self._rows, self._places = (np.take_along_axis(part, order, axis=-1) for part in joined)

    def of(self, feature: int, sequences: list[list[int]], tokenizer: Any) -> dict[str, list[dict[str, Any]]]:
        """Class → contexts of one feature, strongest first: `value`, `before`, `token`, `after`, `row` of the pairs."""
        return {name: [self._shown(side, feature, rank, sequences, tokenizer) for rank in range(self._values.shape[-1])
                       if self._values[side, feature, rank] > 0] for side, name in enumerate(CLASSES)}

    def _shown(self, side: int, feature: int, rank: int, sequences: list[list[int]], tokenizer: Any) -> dict[str, Any]:
        row, place = int(self._rows[side, feature, rank]), int(self._places[side, feature, rank])
        ids, after = sequences[row], place + 1
        parts = {"before": ids[max(place - WINDOW, 0):place], "token": ids[place:after], "after": ids[after:after + WINDOW]}
        return {"value": float(self._values[side, feature, rank]), "row": row} | \
            {name: tokenizer.decode(part) for name, part in parts.items()}
