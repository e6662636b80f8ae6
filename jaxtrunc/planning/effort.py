"""The work of a whole run, and how long it takes at a given speed."""

from dataclasses import dataclass

from jaxtrunc.planning import flops
from jaxtrunc.planning.job import Job, Machine


@dataclass(frozen=True)
class Amount:
    """How often things are done.

    Attributes:
      steps: optimiser steps of one training run; None: not known without the rows.
      adapters: training runs of the LoRA control, those of its search for a learning rate among them.
      levels: evaluated, the two end points among them.
      prompts: evaluated at each level, over all splits; None: not known without the rows.
    """

    steps: int | None
    adapters: int
    levels: int
    prompts: int | None


@dataclass(frozen=True)
class Effort:
    """Floating-point operations by stage; None: not known. An adapter's step is counted like one of fine-tuning."""

    finetuning: float | None
    adapters: float | None
    decomposition: float
    sweep: float | None

    @property
    def total(self) -> float | None:
        """Of all stages; None if one is not known."""
        parts = (self.finetuning, self.adapters, self.decomposition, self.sweep)
        return None if any(part is None for part in parts) else sum(part for part in parts if part is not None)


def effort(job: Job, amount: Amount) -> Effort:
    """The work of a run: arithmetic of the matrix products alone."""
    step = flops.training_step(job) if job.train is not None else 0
    training = 0 if step == 0 else None if amount.steps is None else float(step * amount.steps)
    adapters = 0 if amount.adapters == 0 else None if training is None else training * amount.adapters
    sweep = None if amount.prompts is None else float(amount.levels * amount.prompts * flops.prompt(job))
    return Effort(training, adapters, float(flops.decomposition(job.matrices)), sweep)


def seconds(work: float, machine: Machine, tflops: float) -> float:
    """At `tflops` sustained by each device: teraflops that are really reached, not those of the data sheet."""
    return work / (tflops * 1e12 * machine.mesh.size)
