"""The embedded base model with an update added: scored in memory, and written as a Hugging Face directory."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from known_updates import Update

from jaxtrunc.core.trees import flatten, unflatten
from jaxtrunc.demo import ASSETS
from jaxtrunc.evals import Scorer
from jaxtrunc.models import Execution, load_params, open_model, to_hf, write_model
from jaxtrunc.recipes.bench import open_bench

BASE = ASSETS / "model"
SOURCE = open_model(BASE)
MATRICES = "_proj/kernel"


class Base:
    """The base model's parameters."""

    cfg = SOURCE.cfg

    @cached_property
    def params(self) -> dict:
        """Nested dict, float32."""
        return load_params(SOURCE.leaves())

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """(L, in, out) of every attention and MLP matrix."""
        return {path: leaf.shape for path, leaf in flatten(self.params).items() if path.endswith(MATRICES)}

    def plus(self, update: Update) -> dict:
        """Parameters of W_base + update."""
        leaves = flatten(self.params)
        return unflatten(leaves | {path: jnp.asarray(leaves[path] + part) for path, part in update.items()})

    def update_of(self, model: Path) -> Update:
        """ΔW of a fine-tuned model directory."""
        ours, theirs = flatten(self.params), flatten(load_params(open_model(model).leaves()))
        return {path: np.asarray(theirs[path] - ours[path]) for path in self.shapes}

    def write(self, update: Update, directory: Path, dtype: str = "float32") -> Path:
        """W_base + update as a model directory, where W_base is the base as a directory of this dtype holds it."""
        stored = jax.tree.map(lambda leaf: leaf.astype(dtype).astype(jnp.float32), flatten(self.params))
        whole = unflatten(stored | {path: stored[path] + part for path, part in update.items()})
        write_model(directory, to_hf(self.cfg, whole), source=BASE, cfg=self.cfg, dtype=dtype)
        return directory


@dataclass(frozen=True)
class Scores:
    """Balanced accuracy and gap on the test split, shares from 0 to 1."""

    accuracy: float
    gap: float


class Judge:
    """Scores updates of the base on the test split of a task; the arithmetic is plain numpy, not the program's."""

    def __init__(self, base: Base, task: Path):
        bench = open_bench(task, task.parent, BASE, ("test",))
        self._base, self._rows = base, bench.eval_set("test", 100)
        self._scorer = Scorer(base.cfg, Execution(), None)

    def __call__(self, update: Update) -> Scores:
        right = self._scorer.score(jax.device_put(self._base.plus(update)), self._rows).predictions == self._rows.truth.labels
        label, marker = np.asarray(self._rows.truth.labels), np.asarray(self._rows.truth.attributes["marker"])
        cell = {(y, a): right[(label == y) & (marker == a)].mean() for y in (0, 1) for a in (0, 1)}
        gap = ((cell[1, 1] - cell[1, 0]) + (cell[0, 0] - cell[0, 1])) / 2
        return Scores(float(np.mean(list(cell.values()))), float(gap))
