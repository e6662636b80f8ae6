"""A child of test_two_processes.py: one of two processes with four virtual devices each, started as users start them.

Usage: one_of_two.py DIRECTORY; the addresses and PYTHONPATH are in the environment. What the tests read lies in DIRECTORY
afterwards.
"""

import dataclasses
import os
import signal
import sys
from pathlib import Path

import jax
import numpy as np
import tiny_eval
from runs import EXECUTION, SETTINGS, DiskLeaf, random_params, train
from test_epoch_rows import placed_rows, stream
from tiny import CONFIG, CopyStream

from jaxtrunc.core import processes
from jaxtrunc.core.errors import Interrupted
from jaxtrunc.core.mesh import compute_mesh, param_shardings
from jaxtrunc.core.trees import flatten, unflatten
from jaxtrunc.evals import Scorer
from jaxtrunc.models import Execution, to_hf
from jaxtrunc.models.load import load_leaf
from jaxtrunc.recipes.exchange import assemble, holders
from jaxtrunc.train.finetune import finetune
from jaxtrunc.train.layout import laid_out
from jaxtrunc.train.pretrain import first_params


def fine_tuning(out: Path, mesh) -> None:
    """Six steps with checkpoints, validation on every host, and the tensors as process 0 would write them."""
    rows = tiny_eval.random_set(n=8, batch_size=4)
    scorer = Scorer(CONFIG, Execution(), mesh)
    tuned = train(out / "run", mesh, validate=lambda params: float(scorer.score(params, rows).mass.mean()), eval_every=6)
    np.savez(out / f"tensors-{jax.process_index()}.npz", **dict(to_hf(CONFIG, tuned)))
    first = flatten(first_params(CONFIG, 5, mesh))
    np.savez(out / f"first-{jax.process_index()}.npz", **{path: processes.fetch(leaf) for path, leaf in first.items()})


def scoring(out: Path, mesh) -> None:
    """Both ways of scoring, of weights that lie over both processes."""
    cfg = tiny_eval.CONFIG
    params = unflatten(laid_out(flatten(tiny_eval.random_params()), mesh))
    scorer = Scorer(cfg, Execution(), mesh)
    found = {name: scorer.score(params, tiny_eval.random_set(continuations=strings, scoring=name))
             for name, strings in (("verbalizer", tiny_eval.SINGLE), ("likelihood", tiny_eval.STRINGS))}
    np.savez(out / f"scores-{jax.process_index()}.npz", **{name: each.scores for name, each in found.items()})


def exchange(out: Path, mesh) -> None:
    """A leaf of five matrices and one of a single matrix, each matrix given by one process alone."""
    for path, shape in (("layers/mlp/down_proj/kernel", (5, 8, 12)), ("lm_head/kernel", (8, 12))):
        layout = param_shardings(mesh, {path: np.empty(shape)})[path]
        owners = holders(shape, layout)

        def matrix(number: int, owners=owners) -> np.ndarray:
            assert owners[number] == jax.process_index()
            return np.full((8, 12), number + 1.0) * np.arange(12)

        leaf = assemble(shape, layout, matrix)
        assert leaf.sharding.is_equivalent_to(layout, leaf.ndim)
        np.savez(out / f"exchange{len(shape)}-{jax.process_index()}.npz", leaf=processes.fetch(leaf), owners=owners)


def reading(out: Path) -> None:
    """How many numbers of a stacked leaf this process reads where each process holds half of it, and where it holds all."""
    array = np.arange(3 * 16 * 8, dtype=np.float32).reshape(3, 16, 8)
    asked = []
    for shape in ((1, 8, 1), (2, 4, 1)):
        leaf, path = DiskLeaf(array, stacked=True), "layers/mlp/down_proj/kernel"
        loaded = load_leaf(leaf, np.float32, param_shardings(compute_mesh(*shape), {path: leaf})[path])
        np.testing.assert_array_equal(processes.fetch(loaded), array)
        asked.append(leaf.asked)
    np.savez(out / f"asked-{jax.process_index()}.npz", asked=asked, size=array.size)


def epoch(out: Path) -> None:
    """The ids of the rows that this process puts on its devices, in one epoch of a pure data mesh."""
    np.savez(out / f"rows-{jax.process_index()}.npz", rows=placed_rows(stream(), compute_mesh()))


def stopping(out: Path, mesh) -> None:
    """SIGTERM to process 1 alone, in the middle of a run."""

    class Stopped(CopyStream):
        def _batch(self, entry):
            if self.position == 2 and jax.process_index() == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            return super()._batch(entry)

    settings = dataclasses.replace(SETTINGS, checkpoint_every=100)
    try:
        finetune(random_params(), CONFIG, Stopped(rows=16), settings, out / "stopped", execution=EXECUTION, mesh=mesh)
    except Interrupted as stop:
        (out / f"stopped-{jax.process_index()}.txt").write_text(str(stop))


def main(out: Path) -> None:
    watch = processes.start()
    mesh = compute_mesh(2, 2, 2)
    fine_tuning(out, mesh)
    scoring(out, mesh)
    exchange(out, mesh)
    reading(out)
    epoch(out)
    stopping(out, mesh)
    processes.leave(watch)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
