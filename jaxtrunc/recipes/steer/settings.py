"""What can be set about a steering run besides its task: losses, SIFT, training."""

from dataclasses import dataclass
from typing import Any, Literal

from jaxtrunc.core.errors import InputError
from jaxtrunc.steer import Schedule, Window
from jaxtrunc.steer.options import ALWAYS, SiftOptions
from jaxtrunc.train.settings import TrainSettings

Method = Literal["sift", "muon", "adamw"]


@dataclass(frozen=True)
class PrimarySettings:
    """The primary objective.

    Attributes:
      loss: npo or rmu (unlearning), dpo (safety), cross_entropy (speech), unlikelihood (hallucination); null: the first.
      weight: multiplies it; null: 2 for unlikelihood, else 1.
      beta: of npo and dpo; null: 0.1 and 0.01.
      c: of rmu: length of the vector that states are moved to.
      layer: of rmu: whose output is moved; null: the one a quarter up, as layer 7 of 32.
      max_ce: of unlikelihood: cross-entropy from which on there is no further push (nats).
    """

    loss: Literal["npo", "rmu", "dpo", "cross_entropy", "unlikelihood"] | None = None
    weight: float | None = None
    beta: float | None = None
    c: float = 20.0
    layer: int | None = None
    max_ce: float = 10.0

    def __post_init__(self) -> None:
        """Refuse values outside their range with an `InputError` that names the key."""
        for name in ("weight", "beta", "c", "max_ce"):
            _positive("primary", name, getattr(self, name))


@dataclass(frozen=True)
class ConstraintSettings:
    """The objective under which the primary one is trained.

    Attributes:
      loss: retention beside rmu, cross_entropy beside all others; null: that one.
      weight: multiplies it; null: 100 for retention, else 1. Where SIFT fires it has no effect.
    """

    loss: Literal["cross_entropy", "retention"] | None = None
    weight: float | None = None

    def __post_init__(self) -> None:
        """Refuse a weight that is not positive."""
        _positive("constraint", "weight", self.weight)


@dataclass(frozen=True)
class SiftSettings:
    """The key `sift`; see docs/steer.md and `jaxtrunc.steer.SiftOptions`.

    Attributes:
      where: candidates: a regular expression on paths, {kernels, start, stop} in fractions of depth, or names as path[layer].
      scale, rms: what every direction is multiplied by; `rms` serves the method muon too.
    """

    rank: int | float = 256
    threshold: float | None = 0.0
    where: Window | tuple[str, ...] | str | None = None
    when: Schedule = ALWAYS
    polar: Literal["gram", "svd", "newton_schulz", "polar_express"] = "gram"
    subspace: Literal["svd", "iterate", "none"] = "svd"
    rcond: float = 1e-4
    sv_rtol: float = 1e-5
    fallback: Literal["muon", "zero", "v0", "avg"] = "muon"
    scale: Literal["rms", "width"] = "rms"
    rms: float = 0.2
    max_active: int | None = None

    def __post_init__(self) -> None:
        """Refuse what the optimiser would, before anything is written, and what its options do not see."""
        _positive("sift", "rms", self.rms)
        SiftOptions(self.rank, self.threshold, polar=self.polar, subspace=self.subspace, rcond=self.rcond, sv_rtol=self.sv_rtol,
                    max_active=self.max_active, fallback=self.fallback)


@dataclass(frozen=True)
class SteerTraining(TrainSettings):
    """Fine-tuning's settings with other defaults. There is no evaluation in between, and a line of the log for every step.

    Attributes:
      adam_learning_rate: of leaves that are no hidden kernels (scope all), with sift and muon; null: learning_rate.
    """

    learning_rate: float = 1e-3
    schedule: Literal["cosine", "linear", "constant"] = "constant"
    warmup_share: float = 0.0
    weight_decay: float = 0.0
    clip: float | None = None
    epochs: int = 1
    batch_size: int = 4
    keep: Literal["best", "last"] = "last"
    log_every: int = 1
    adam_learning_rate: float | None = None

    def __post_init__(self) -> None:
        """Refuse values outside their range, and keys without a meaning here, with an `InputError` that names the key."""
        super().__post_init__()
        _positive("train", "adam_learning_rate", self.adam_learning_rate)
        fixed: dict[str, Any] = {"keep": "last", "log_every": 1, "eval_every": None, "patience": None, "max_widths": None}
        for name, only in fixed.items():
            if getattr(self, name) != only:
                raise InputError(f"train: {name}: a steering run is logged at every step and keeps its last weights; leave it out")


def _positive(section: str, name: str, value: float | None) -> None:
    if value is not None and value <= 0:
        raise InputError(f"{section}: {name} must be above 0, found {value}")
