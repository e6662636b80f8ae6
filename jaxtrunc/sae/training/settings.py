"""What can be set about the training of a sparse autoencoder: standard library only (the command line imports it)."""

from dataclasses import dataclass, fields
from typing import Any, Literal

from jaxtrunc.core.errors import InputError

LEAST_BUFFER = 100
SAEKind = Literal["topk", "batchtopk", "jumprelu", "standard"]


@dataclass(frozen=True)
class SAETraining:
    """One sparse autoencoder on activations that are scaled to a mean squared norm of 1.

    Attributes:
      kind: topk, batchtopk (saved as jumprelu), jumprelu or standard.
      n: latents of the dictionary.
      k: latents kept per activation (topk), or on average (batchtopk).
      learning_rate: the peak; null: 2e-4/√(n/16384).
      steps: optimiser steps; the rate falls to zero in the last 20%.
      batch: activations per step.
      warmup: steps in which the learning rate rises from near zero to its peak.
      l0_coefficient: λ of jumprelu, the price of one active latent.
      l1_coefficient: λ of standard, the price of Σ a_i‖W_dec row i‖.
      sparsity_warmup: steps in which λ rises from near zero to its value; null: 10% of all.
      bandwidth: ε, width of the kernel of jumprelu's pseudo-gradients.
      aux_coefficient: α, weight of the error that dead latents reconstruct (topk, batchtopk); 0: none.
      dead_tokens: a latent that was silent for so many activations is dead.
      resample: every so many steps dead latents begin anew at badly reconstructed activations; null: never.
      buffer_batches: batches among which activations are shuffled.
      seed: first weights, order of the activations, draws of resample.
      checkpoint_every: steps between two checkpoints.
      log_every: steps between two lines of metrics.jsonl.
    """

    kind: SAEKind = "topk"
    n: int = 16384
    k: int = 64
    learning_rate: float | None = None
    steps: int = 20_000
    batch: int = 4096
    warmup: int = 1000
    l0_coefficient: float = 6e-4
    l1_coefficient: float = 0.05
    sparsity_warmup: int | None = None
    bandwidth: float = 1e-3
    aux_coefficient: float = 1 / 32
    dead_tokens: int = 10_000_000
    resample: int | None = None
    buffer_batches: int = LEAST_BUFFER
    seed: int = 0
    checkpoint_every: int = 1000
    log_every: int = 100

    def __post_init__(self) -> None:
        """Refuse values outside their range with an `InputError` that names the key."""
        for name in ("n", "k", "steps", "batch", "dead_tokens", "resample", "checkpoint_every", "log_every"):
            self._check(name, lambda value: value >= 1, "at least 1")
        for name in ("learning_rate", "bandwidth"):
            self._check(name, lambda value: value > 0, "above 0")
        for name in ("warmup", "sparsity_warmup", "l0_coefficient", "l1_coefficient", "aux_coefficient", "seed"):
            self._check(name, lambda value: value >= 0, "at least 0")
        self._check("buffer_batches", lambda value: value >= LEAST_BUFFER, f"at least {LEAST_BUFFER}")
        if self.kind in ("topk", "batchtopk") and self.k > self.n:
            raise InputError(f"sae: k must be at most n, {self.n}, found {self.k}")

    def _check(self, name: str, holds, wanted: str) -> None:
        value = getattr(self, name)
        if value is not None and not holds(value):
            raise InputError(f"sae: {name} must be {wanted}, found {value}")

    @property
    def peak_rate(self) -> float:
        """The largest learning rate of the run."""
        return 2e-4 / (self.n / 16384) ** 0.5 if self.learning_rate is None else self.learning_rate

    @property
    def subtract_b_dec(self) -> bool:
        """Whether the encoder sees x − b_dec."""
        return self.kind != "jumprelu"


RESUMABLE_DIFFERENCES = ("checkpoint_every", "log_every")


def differences(before: dict[str, Any], now: SAETraining) -> list[str]:
    """Keys whose change would make a resumed run another run, as `key was X, is Y`."""
    return [f"{field.name} was {before.get(field.name)}, is {getattr(now, field.name)}" for field in fields(now)
            if field.name not in RESUMABLE_DIFFERENCES and before.get(field.name) != getattr(now, field.name)]
