"""From a world of concepts to recovery errors: train an SAE on it, choose features, and set beside them what needs no SAE.

The base case is acceptance criterion 4 of the specification, stopped when its reconstruction no longer improves.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrunc.core.jsonio import append_line, read_lines
from jaxtrunc.sae.baselines import cov_diff, pca_diff, random_u, raw_direction
from jaxtrunc.sae.metrics import evaluate, mmcs
from jaxtrunc.sae.recovery import recovery_error
from jaxtrunc.sae.sae import SAE, encode
from jaxtrunc.sae.selection import ClassSums, pool, select
from jaxtrunc.sae.subspace import subspace
from jaxtrunc.sae.synthetic import ConceptBatches, Concepts, half_aligned, spread_directions
from jaxtrunc.sae.training.loop import train_sae
from jaxtrunc.sae.training.settings import SAETraining

ROWS, CHUNK = 40_000, 4000
TRAIN, JUDGE = 0, 1  # parts of the seeds: what trains and what judges never share a draw


@dataclass(frozen=True)
class Case:
    """One world, one SAE."""

    d: int = 32
    concepts: int = 48
    n: int = 96
    k: int = 4
    r: int = 4
    noise: float = 0.01
    steps: int = 1500
    seed: int = 0

    @property
    def world(self) -> Concepts:
        """Its concepts, the same for every SAE of one seed."""
        return Concepts(spread_directions(self.d, self.concepts, self.seed), self.r, noise=self.noise)

    @property
    def training(self) -> SAETraining:
        """How its SAE is trained."""
        return SAETraining(kind="topk", n=self.n, k=self.k, steps=self.steps, batch=512, warmup=self.steps // 4, dead_tokens=50_000,
                           seed=self.seed, checkpoint_every=self.steps)


BASE = Case()
SWEEPS: dict[str, tuple[Any, ...]] = {
    "noise": (0.01, 0.05, 0.1, 0.2), "concepts": (40, 48, 64, 96), "n": (48, 96, 192, 384), "k": (2, 4, 8, 16), "r": (2, 4, 8)}


def cases(seeds: int) -> Iterator[Case]:
    """Every case of every sweep once, the first seed of all before the second."""
    seen = set()
    for seed in range(seeds):
        for name, values in SWEEPS.items():
            for value in values:
                case = replace(BASE, **{name: value}, seed=seed)
                if name == "concepts":
                    case = replace(case, n=2 * value)  # as in the base case: twice as many latents as concepts
                if case not in seen:
                    seen.add(case)
                    yield case


def trained(case: Case) -> SAE:
    """Its SAE, in a directory that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        return train_sae(ConceptBatches(case.world, 512, 1000 * case.seed + TRAIN), case.training, Path(folder), d=case.d)


def measured(case: Case) -> dict[str, Any]:
    """Quality of the SAE and recovery errors of every way, on rows that it was not trained on."""
    sae, world = trained(case), case.world
    rows = evaluation_rows(case)
    quality = evaluate(sae, [rows[start : start + CHUNK] for start in range(0, ROWS, CHUNK)])
    return {"case": asdict(case), "fvu": quality.fvu, "mmcs": mmcs(world.w.T, sae.w_dec), "l0": float(quality.density.sum()),
            "errors": {name: recovery_error(u, world.target) for name, u in subspaces(case, sae, rows).items()}}


def evaluation_rows(case: Case) -> np.ndarray:
    """40,000 activations, every second one aligned."""
    return case.world.sample(half_aligned(ROWS), np.random.default_rng([1000 * case.seed + JUDGE]))


def subspaces(case: Case, sae: SAE, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Every way's estimate of span(W_T), rank r each but for the one direction."""
    aligned, r = half_aligned(ROWS), case.r
    sums = class_sums(sae, rows, aligned)
    few, twice = select(sums, budget=r), select(sums, budget=2 * r)
    decoder = np.asarray(sae.w_dec)
    return {"sae": subspace(decoder[few.index], few.delta, r).u,
            "sae_weighted": subspace(decoder[twice.index], twice.delta, r).u,
            "sae_unweighted": subspace(decoder[twice.index], None, r).u,
            "one": raw_direction(rows[aligned], rows[~aligned]),
            "pca_diff": pca_diff(rows[aligned], rows[~aligned], r, case.seed),
            "cov_diff": cov_diff(rows[aligned], rows[~aligned], r),
            "random_u": random_u(case.d, r, case.seed)}


def class_sums(sae: SAE, rows: np.ndarray, aligned: np.ndarray) -> ClassSums:
    """Every row an example of one token."""
    sums = ClassSums.empty(sae.n)
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        sums.add(pool(encode(sae, rows[part, None]), np.ones((CHUNK, 1), bool)), aligned[part])
    return sums


def collect(file: Path, seeds: int) -> list[dict[str, Any]]:
    """All cases; those that `file` holds already are not run again."""
    file.parent.mkdir(parents=True, exist_ok=True)
    done = {Case(**record["case"]): record for record in read_lines(file)}
    for case in cases(seeds):
        if case not in done:
            done[case] = measured(case)
            append_line(file, done[case])
    return [done[case] for case in cases(seeds)]
