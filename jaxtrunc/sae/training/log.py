"""metrics.jsonl, and the watch for a loss that is no longer a number."""

import time
from pathlib import Path

import jax
import numpy as np

from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import RunFailed
from jaxtrunc.core.processes import is_main
from jaxtrunc.sae.training.optimiser import learning_rate
from jaxtrunc.sae.training.settings import SAETraining
from jaxtrunc.sae.training.step import Measured


class TrainingLog:
    """One line, the means since the line before, at each `flush`; until then nothing waits for the device."""

    def __init__(self, path: Path, settings: SAETraining, first_step: int):
        self.path, self.note = path, ""
        self._settings, self._rate = settings, learning_rate(settings)
        self._step, self._pending, self._clock = first_step, list[Measured](), time.monotonic()
        if is_main():
            path.parent.mkdir(parents=True, exist_ok=True)
            # A resumed run repeats the steps after its checkpoint: their old lines go.
            jsonio.rewrite_lines(path, [line for line in jsonio.read_lines(path) if line["step"] <= first_step])

    def add(self, measured: Measured) -> None:
        """Note the next step."""
        self._pending.append(measured)

    def flush(self) -> None:
        """Read what is pending, check it, write its means."""
        if not self._pending:
            return
        table = np.array(jax.device_get(self._pending), np.float64)
        self._check(table[:, 0])
        self._step += len(table)
        loss, fvu, l0, dead = table.mean(axis=0)
        self.note = f"FVU {fvu:.3f}, L0 {l0:.1f}"
        if is_main():
            jsonio.append_line(self.path, {
                "step": self._step, "loss": loss, "fvu": fvu, "l0": l0, "dead_fraction": dead,
                "learning_rate": float(self._rate(self._step - 1)), "activations_per_second": self._speed(len(table))})
        self._pending, self._clock = [], time.monotonic()

    def _check(self, losses: np.ndarray) -> None:
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            raise RunFailed(f"sae: the loss is not finite ({losses[bad[0]]}) at step {self._step + bad[0] + 1}; "
                            "lower the learning rate")

    def _speed(self, steps: int) -> float:
        return steps * self._settings.batch / max(time.monotonic() - self._clock, 1e-9)
