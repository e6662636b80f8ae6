"""What a run must remember besides arrays: how far it came, where its data stands, which evaluation was best."""

from dataclasses import asdict, dataclass
from typing import Any

from jaxtrunc.core.errors import InputError
from jaxtrunc.train.settings import TrainSettings, differences


@dataclass
class Bookmark:
    """Plain facts, saved with every checkpoint.

    Attributes:
      step: finished optimiser steps.
      best_step: step of the highest validation accuracy so far (the earliest of equals); None before an evaluation.
      best_accuracy: that accuracy.
      without_gain: evaluations since then.
      stopped: early stopping ended the run.
    """

    step: int = 0
    best_step: int | None = None
    best_accuracy: float | None = None
    without_gain: int = 0
    stopped: bool = False

    def evaluated(self, accuracy: float, patience: int | None) -> bool:
        """Take in the accuracy at the present step; True if it is the best so far."""
        better = self.best_accuracy is None or accuracy > self.best_accuracy
        if better:
            self.best_step, self.best_accuracy, self.without_gain = self.step, accuracy, 0
        else:
            self.without_gain += 1
        self.stopped = patience is not None and self.without_gain >= patience
        return better

    def facts(self, settings: TrainSettings, total_steps: int, position: int) -> dict[str, Any]:
        """JSON object from which `from_facts` continues."""
        return {"bookmark": asdict(self), "settings": asdict(settings), "total_steps": total_steps,
                "position": position}

    @classmethod
    def from_facts(cls, facts: dict[str, Any], settings: TrainSettings, total_steps: int, where: str) -> "Bookmark":
        """The bookmark of a checkpoint; `InputError` if today's settings would make it another run."""
        changed = differences(facts["settings"], settings)
        if facts["total_steps"] != total_steps:
            changed.append(f"the number of steps was {facts['total_steps']}, is {total_steps}")
        if changed:
            raise InputError(f"{where}: cannot resume with other settings: {'; '.join(changed)}")
        return cls(**facts["bookmark"])
