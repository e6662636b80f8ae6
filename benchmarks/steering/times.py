"""CPU time of a training step by each method, the methods taking turns in one process."""

import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
from steering.cells import BASELINE, METHODS, Cell
from steering.run import config_of, task_of

from jaxtrunc.recipes.steer.train import steer_job

ROUNDS, STEPS = 7, 10


class Steps:
    """A method's compiled step, which goes on from the state it left."""

    def __init__(self, task: str, method: str, cache: Path, directory: Path) -> None:
        cell = Cell(task, method, 1e-3, 1.0, 0)
        self.job = steer_job(task_of(task, 0, cache), config_of(cell), directory)
        self.state = self.job.state
        self.step = self.job.program.compiled(self.state, None)
        self.rows: Any = itertools.cycle([dict(next(self.job.stream).arrays) for _ in range(4)])

    def __call__(self) -> float:
        """CPU seconds of a step, mean over some."""
        begun = time.process_time()
        for _ in range(STEPS):
            self.state, measured = self.step(self.state, self.job.frozen, next(self.rows))
        jax.block_until_ready(measured)
        return (time.process_time() - begun) / STEPS


def step_seconds(task: str, cache: Path, methods: tuple[str, ...] = tuple(METHODS)) -> dict[str, list[float]]:
    """Method → seconds of a step in each round, the baseline among them."""
    assert BASELINE in methods
    with tempfile.TemporaryDirectory() as work:
        ways = {method: Steps(task, method, cache, Path(work) / method) for method in methods}
        for way in ways.values():
            way()
        rounds = [{method: way() for method, way in ways.items()} for _ in range(ROUNDS)]
    return {method: [one[method] for one in rounds] for method in methods}
