"""metrics.jsonl, and the watch for a loss that is no longer a number."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import RunFailed
from jaxtrunc.core.processes import is_main
from jaxtrunc.train.step import Measured
from jaxtrunc.train.utilisation import Work


class _Pending(NamedTuple):
    step: int
    measured: Measured
    rows: Sequence[str]
    tokens: int
    work: float


class Speed(NamedTuple):
    """Of a line of metrics.jsonl: tokens per second, and the share of the machine's peak that the needed arithmetic makes up."""

    tokens: float
    utilisation: float


class MetricsLog:
    """Means since the line before, every `every` steps and at each `flush`; a line for each evaluation.

    What the program watches is that of the line's own step.

    A step's scalars are read after the next step was started, so that the device never waits for the host. Every process
    watches them, process 0 writes.
    """

    def __init__(self, path: Path, learning_rate: Any, every: int, first_step: int, work: Work):
        self.path, self.last_loss = path, math.nan
        self.speeds: list[Speed] = []
        self._learning_rate, self._every, self._work, self._peak = learning_rate, every, work, work.peak()
        self._pending: _Pending | None = None
        self._losses: list[float] = []
        self._norms: list[float] = []
        self._watched: Mapping[str, Any] = {}
        self._tokens, self._flops = 0, 0.0
        self._clock: float | None = None
        if is_main():
            path.parent.mkdir(parents=True, exist_ok=True)
            # A resumed run repeats the steps after its checkpoint: their old lines go.
            jsonio.rewrite_lines(path, [line for line in jsonio.read_lines(path) if line["step"] <= first_step])

    def begin(self) -> None:
        """A step is about to start: let the clock run (evaluations and checkpoints are not timed)."""
        self._clock = time.monotonic() if self._clock is None else self._clock

    def add(self, step: int, measured: Measured, batch: Any) -> None:
        """Note step `step` (1 is the first) and check the one before it."""
        work = self._work
        previous, self._pending = self._pending, _Pending(step, measured, batch.ids, work.tokens(batch), work.of(batch))
        self._check(previous)

    def flush(self) -> None:
        """Check the newest step too, write what is not yet written, stop the clock."""
        previous, self._pending = self._pending, None
        self._check(previous)
        if self._losses and previous is not None:
            self._write(previous.step)
        self._clock = None

    def evaluation(self, step: int, accuracy: float) -> None:
        """One line for an evaluation on the validation split."""
        self._append({"step": step, "validation_accuracy": accuracy})

    def summary(self) -> str | None:
        """The median of the lines in words, which a compilation within some of them does not move; None without a line."""
        if not self.speeds:
            return None
        tokens, share = (float(np.median(values)) for values in zip(*self.speeds, strict=True))
        return (f"{tokens:,.0f} tokens/s, {100 * share:.0f} % of what this machine reaches in matrix products "
                f"({self._peak / 1e9:,.0f} GFLOP/s in {self._work.execution.compute_dtype})")

    def _check(self, pending: _Pending | None) -> None:
        if pending is None:
            return
        measured = jax.device_get(pending.measured)
        loss, norm = float(measured.loss), float(measured.gradient_norm)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            what = "loss" if not math.isfinite(loss) else "gradient"
            raise RunFailed(f"the {what} is not finite ({loss if what == 'loss' else norm}) at step {pending.step}, "
                            f"batch rows {', '.join(pending.rows)}")
        self.last_loss = loss
        self._losses.append(loss)
        self._norms.append(norm)
        self._watched = measured.watched
        self._tokens += pending.tokens
        self._flops += pending.work
        if pending.step % self._every == 0:
            self._write(pending.step)

    def _write(self, step: int) -> None:
        now = time.monotonic()
        seconds = max(now - (self._clock or now), 1e-9)
        speed = Speed(self._tokens / seconds, self._flops / seconds / self._peak)
        self.speeds.append(speed)
        self._append({
            "step": step, "loss": float(np.mean(self._losses)), "gradient_norm": float(np.mean(self._norms)),
            "learning_rate": float(self._learning_rate(step - 1)),
            "tokens_per_second": speed.tokens, "model_flops_utilisation": speed.utilisation,
            **{name: value.tolist() for name, value in self._watched.items()}})
        self._losses, self._norms, self._tokens, self._flops, self._clock = [], [], 0, 0.0, now

    def _append(self, line: dict[str, Any]) -> None:
        if is_main():
            jsonio.append_line(self.path, line)
