"""Levels of a run on its splits: all of them in one dtype, and a few once more in float32 where that dtype rounds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from jax.sharding import Mesh

from jaxtrunc import spectral
from jaxtrunc.core import processes
from jaxtrunc.core.processes import wait_for_all
from jaxtrunc.core.progress import progress
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.evals import EvalSet, Outcome, Scorer, Sweep
from jaxtrunc.evals.precision import EXACT, precision_evidence
from jaxtrunc.evals.sweep import Level
from jaxtrunc.models import Execution
from jaxtrunc.recipes.adapters import trained_adapters
from jaxtrunc.recipes.levels import LevelWeights
from jaxtrunc.recipes.results import Study


@dataclass(frozen=True)
class Evaluation:
    """What levels are evaluated with: weights, splits and the compute mesh (None: one device); each `exact_every`-th exactly."""

    run: RunDir
    weights: LevelWeights
    eval_sets: Sequence[EvalSet]
    mesh: Mesh | None
    log_samples: bool
    exact_every: int | None = None

    def of(self, levels: Sequence[spectral.Level], dtype: str) -> Outcome:
        """Both end points, `levels` and the run's trained adapters; all processes evaluate, process 0 writes the records."""
        adapters = trained_adapters(self.run)
        trained = [(self.weights.describe_adapter(rank), lambda directory=directory: self.weights.adapter(directory))
                   for rank, directory in adapters.items()]
        return self._evaluated("sweep", [*self._ends(), *self._cuts(levels, dtype), *trained], dtype)

    def again(self, levels: Sequence[spectral.Level]) -> Outcome:
        """Both end points and `levels` in float32."""
        return self._evaluated(f"{EXACT} check", [*self._ends(), *self._cuts(levels, EXACT)], EXACT)

    def _ends(self) -> Iterable[Level]:
        return [(self.weights.describe_end(end), lambda end=end: self.weights.end(end)) for end in ("ft", "base")]

    def _cuts(self, levels: Sequence[spectral.Level], dtype: str) -> Iterable[Level]:
        return [(self.weights.describe(level), partial(self.weights.at, level, dtype, exact=self._is_exact(number)))
                for number, level in enumerate(levels, 1)]

    def _is_exact(self, number: int) -> bool:
        """By the place in the list, so that a resumed sweep has the same."""
        return self.exact_every is not None and number % self.exact_every == 0

    def _evaluated(self, title: str, levels: Sequence[Level], dtype: str) -> Outcome:
        scorer = Scorer(self.weights.cfg, Execution(compute_dtype=dtype), self.mesh)
        loop = Sweep(self.run.path, scorer, self.eval_sets, dtype=dtype, log_samples=self.log_samples)
        wait_for_all("records are read")  # before process 0 adds any: all must leave out the same levels
        with progress(title, len(levels)) as advance:
            return loop.run(levels, advance)


def agreement(evaluation: Evaluation, study: Study, levels: Sequence[spectral.Level], records: Sequence[Mapping[str, Any]],
              selection: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How far the predictions of a sweep agree with float32 at FT and k*; None for a sweep in float32.

    Args:
      records: of the sweep.
      selection: what `choose` returned; every process is told the k* of process 0.
    """
    dtype = study.settings.dtype
    if dtype == EXACT:
        return None
    k = processes.collect(selection and selection["k"])[0]
    chosen = [level for level in levels if (level.operator, level.k, level.norm_matched) == ("top_k", k, False) and k is not None]
    exact = evaluation.again(chosen).records
    named = {"FT": {"operator": "ft"}} | {f"k* = {k}": evaluation.weights.describe(level) for level in chosen}
    return precision_evidence([*records, *exact], dtype, named)
