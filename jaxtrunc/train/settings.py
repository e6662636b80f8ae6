"""What can be set about training: frozen dataclasses, standard library only (the command line imports them)."""

from dataclasses import dataclass, fields
from typing import Literal

from jaxtrunc.core.errors import InputError


@dataclass(frozen=True)
class TrainSettings:
    """Fine-tuning: AdamW on every row of the training split, with one learning rate for all matrices.

    Attributes:
      scope: tensors that are trained: linear (attention and MLP matrices, so that k = 0 is exactly the base) or all.
      learning_rate: the peak, reached after the warm-up.
      schedule: what follows the warm-up: cosine or linear decay to zero, or constant.
      warmup_share: share of all steps in which the learning rate rises from near zero to its peak.
      weight_decay: decoupled (AdamW); never applied to norm scales and biases.
      beta1: decay of the mean of gradients.
      beta2: decay of the mean of squared gradients.
      epsilon: added to the root of the mean of squared gradients.
      clip: largest global norm of the gradient; null: no clipping.
      epochs: passes over the training rows.
      max_steps: stop after this many optimiser steps, however many epochs that is; null: no limit.
      batch_size: rows per optimiser step.
      max_widths: largest number of batch widths, each of which is compiled; null: one per 50 steps, at most 6.
      accumulation: parts into which a batch is cut to save memory; the result is that of the whole batch.
      remat: compute activations again in the backward pass instead of storing them.
      seed: order of the rows, and of random initial weights.
      eval_every: steps between two evaluations on the validation split; null: once per epoch.
      patience: stop after this many evaluations without a better one; null: never stop early.
      keep: return the weights of the best validation accuracy (best) or of the last step (last).
      checkpoint_every: steps between two checkpoints.
      log_every: steps between two lines of metrics.jsonl.
    """

    scope: Literal["linear", "all"] = "linear"
    learning_rate: float = 2e-5
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_share: float = 0.03
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip: float | None = 1.0
    epochs: int = 3
    max_steps: int | None = None
    batch_size: int = 32
    max_widths: int | None = None
    accumulation: int = 1
    remat: bool = False
    seed: int = 0
    eval_every: int | None = None
    patience: int | None = None
    keep: Literal["best", "last"] = "best"
    checkpoint_every: int = 200
    log_every: int = 10

    def __post_init__(self) -> None:
        """Refuse values outside their range with an `InputError` that names the key."""
        for name in ("epochs", "max_steps", "batch_size", "max_widths", "accumulation", "eval_every", "patience",
                     "checkpoint_every", "log_every"):
            self._check(name, lambda value: value >= 1, "at least 1")
        for name in ("learning_rate", "clip", "epsilon"):
            self._check(name, lambda value: value > 0, "above 0")
        for name in ("warmup_share", "beta1", "beta2"):
            self._check(name, lambda value: 0 <= value < 1, "from 0 to below 1")
        for name in ("weight_decay", "seed"):
            self._check(name, lambda value: value >= 0, "at least 0")
        if self.batch_size % self.accumulation:
            raise InputError(f"train: batch_size {self.batch_size} is not a multiple of "
                             f"accumulation {self.accumulation}")

    def steps(self, batches_per_epoch: int) -> int:
        """Optimiser steps of a whole run."""
        return min(self.epochs * batches_per_epoch, self.max_steps or 2**62)

    def _check(self, name: str, holds, wanted: str) -> None:
        value = getattr(self, name)
        if value is not None and not holds(value):
            raise InputError(f"train: {name} must be {wanted}, found {value}")


@dataclass(frozen=True)
class PretrainSettings(TrainSettings):
    """Pre-training a small base model on plain text: the same loop, every tensor trained, other defaults.

    On CPU, parts of 1,000 to 2,000 tokens per device stay in the caches: a batch of 32 × 256 tokens in four parts runs
    at about 1.4 times the tokens per CPU second of the uncut batch (4 M parameters, two virtual devices).

    Attributes:
      window: tokens per row of text.
    """

    scope: Literal["linear", "all"] = "all"
    learning_rate: float = 2e-3
    warmup_share: float = 0.05
    weight_decay: float = 0.1
    beta2: float = 0.95
    epochs: int = 1
    accumulation: int = 4
    keep: Literal["best", "last"] = "last"
    checkpoint_every: int = 500
    window: int = 256


@dataclass(frozen=True)
class LoraSettings:
    """Matched-rank LoRA, a control: the same matrices, rows, order and number of steps as fine-tuning, with alpha = 2·rank.

    Everything but the learning rate is as in the section train.

    Attributes:
      ranks: one adapter each; empty: no LoRA.
      learning_rates: the one of best accuracy on the validation split at search_rank serves all ranks.
      search_rank: one of ranks; null: the first.
      learning_rate: chosen elsewhere, say with another seed of the same model and task; then nothing is searched.
    """

    ranks: tuple[int, ...] = ()
    learning_rates: tuple[float, ...] = (5e-5, 1e-4, 2e-4, 5e-4)
    search_rank: int | None = None
    learning_rate: float | None = None

    def __post_init__(self) -> None:
        """Refuse values outside their range with an `InputError` that names the key."""
        given = () if self.learning_rate is None else (self.learning_rate,)
        for name, values, least in (("ranks", self.ranks, 1), ("learning_rates", self.learning_rates, None),
                                    ("learning_rate", given, None)):
            for value in values:
                if value < 1 if least else value <= 0:
                    raise InputError(f"lora: {name} must be {'at least 1' if least else 'above 0'}, found {value}")
            if len(set(values)) < len(values):
                raise InputError(f"lora: {name}: each must be there once, found {list(values)}")
        if not self.learning_rates:
            raise InputError("lora: learning_rates: expected at least one, found none")
        if self.search_rank is not None and self.search_rank not in self.ranks:
            raise InputError(f"lora: search_rank must be one of ranks, {list(self.ranks)}, found {self.search_rank}")

    @property
    def rank_of_search(self) -> int:
        """The rank at which learning rates are compared."""
        return self.ranks[0] if self.search_rank is None else self.search_rank


RESUMABLE_DIFFERENCES = ("checkpoint_every", "log_every")


def differences(before: dict, now: TrainSettings) -> list[str]:
    """Keys whose change would make a resumed run another run, as `key was X, is Y`."""
    return [f"{field.name} was {before.get(field.name)}, is {getattr(now, field.name)}" for field in fields(now)
            if field.name not in RESUMABLE_DIFFERENCES and before.get(field.name) != getattr(now, field.name)]
