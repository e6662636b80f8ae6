"""What is run: one cell for each task, method, learning rate, constraint weight and seed."""

from dataclasses import dataclass
from typing import Any

import numpy as np

TASKS = ("unlearning", "safety", "second_modality", "hallucination")
RATES = (3e-4, 1e-3, 3e-3)
WEIGHTS = (0.25, 1.0, 4.0)
TUNING_SEED, SEEDS, FEWER_SEEDS = 0, (1, 2, 3, 4, 5), (1, 2, 3)
STEPS = 100
BASELINE = "muon"
SIFT: dict[str, Any] = {"rank": 4}
METHODS: dict[str, dict[str, Any]] = {
    "adamw": {"method": "adamw", "combine": "weighted_sum"},
    "muon": {"method": "muon", "combine": "weighted_sum"},
    "pcgrad": {"method": "muon", "combine": "pcgrad"},
    "mgda": {"method": "muon", "combine": "mgda"},
    "cagrad": {"method": "muon", "combine": "cagrad"},
    "blur": {"method": "muon", "combine": "blur"},
    "sift": {"method": "sift", "sift": SIFT | {"threshold": 0.0}},
    "sift_always": {"method": "sift", "sift": SIFT | {"threshold": None}},
}
# SIFT with one thing changed; `v0`: never a shared basis, always the sum of both polar factors.
ABLATIONS: dict[str, dict[str, Any]] = {
    "sift_v0": {"threshold": -2.0, "fallback": "v0"},
    "sift_rank_1": {"rank": 1},
    "sift_rank_16": {"rank": 16},
    "sift_rcond_1e-2": {"rcond": 1e-2},
    "sift_rcond_1e-6": {"rcond": 1e-6},
}
RANDOM = "sift_random_"
MEANS = ("cos_mean", "sti", "sti_after", "rank_used", "align_f", "align_g")  # over a run, of what is logged of each step
TITLES = {"adamw": "weighted sum, AdamW", "muon": "weighted sum, Muon", "pcgrad": "PCGrad, Muon", "mgda": "MGDA, Muon",
          "cagrad": "CAGrad, Muon", "blur": "BLUR, Muon", "sift": "SIFT", "sift_always": "SIFT, always on"}


@dataclass(frozen=True)
class Cell:
    """One run; its result is a file of its own."""

    task: str
    method: str
    rate: float
    weight: float
    seed: int

    @property
    def name(self) -> str:
        """Of the file."""
        return f"{self.task}-{self.method}-{self.rate:g}-{self.weight:g}-{self.seed}"


def tuning(task: str, method: str) -> list[Cell]:
    """The same budget for every method: each learning rate once, on the seed that no result is from."""
    return [Cell(task, method, rate, 1.0, TUNING_SEED) for rate in RATES]


def tests(task: str, method: str, rate: float) -> list[Cell]:
    """The chosen learning rate on all other seeds."""
    return [Cell(task, method, rate, 1.0, seed) for seed in SEEDS]


def front(task: str, method: str, rate: float) -> list[Cell]:
    """The learning rates that were not chosen, and the other weights of the constraint at the one that was."""
    others = [(other, 1.0) for other in RATES if other != rate] + [(rate, weight) for weight in WEIGHTS if weight != 1.0]
    return [Cell(task, method, rate, weight, seed) for rate, weight in others for seed in FEWER_SEEDS]


def ablation(task: str, name: str, rate: float) -> list[Cell]:
    """At SIFT's own learning rate; no tuning of their own."""
    return [Cell(task, name, rate, 1.0, seed) for seed in SEEDS]


def settings(cell: Cell) -> dict[str, Any]:
    """The cell's method as keys of a config of `jaxtrunc steer`."""
    if cell.method in METHODS:
        return METHODS[cell.method]
    if cell.method.startswith(RANDOM):
        share = int(cell.method.removeprefix(RANDOM)) / 100
        steps = np.flatnonzero(np.random.default_rng(cell.seed).random(STEPS) < share)
        return {"method": "sift", "sift": SIFT | {"threshold": None, "when": {"steps": steps.tolist()}}}
    return {"method": "sift", "sift": SIFT | ABLATIONS[cell.method]}


def random_gate(share: float) -> str:
    """All matrices fire at steps drawn at this rate."""
    return f"{RANDOM}{round(100 * share)}"
