"""The schema of `jaxtrunc steer CONFIG`; values live in YAML files in configs/steer/. Paths are relative to the config file."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from jaxtrunc.config import MeshSettings, from_mapping
from jaxtrunc.core.errors import InputError, did_you_mean
from jaxtrunc.recipes.steer.settings import ConstraintSettings, Method, PrimarySettings, SiftSettings, SteerTraining
from jaxtrunc.recipes.steer.task import TaskSettings
from jaxtrunc.steer import COMBINERS, PRESETS


@dataclass(frozen=True)
class SteerConfig:
    """Everything that `jaxtrunc steer` needs.

    Attributes:
      task: name of a task, or its settings (docs/steer.md).
      preset: published choices of `where` and `threshold`, which keys of `sift` replace.
      primary, constraint: the two losses.
      method: what is done with their gradients.
      combine: how they become one before muon or adamw; sift takes both.
      sift: keys of `SiftSettings`.
      train: length, rates and batches.
      mesh: sizes of the mesh over all devices of this process; null: one device.
      name: the default output directory is runs/NAME.
      out_path: where to write; null: runs/NAME.
    """

    task: TaskSettings | str
    preset: Literal["unlearn", "safety", "speech", "hallucination"] | None = None
    primary: PrimarySettings = field(default_factory=PrimarySettings)
    constraint: ConstraintSettings = field(default_factory=ConstraintSettings)
    method: Method = "sift"
    combine: str | None = None
    sift: dict = field(default_factory=dict)
    train: SteerTraining = field(default_factory=SteerTraining)
    mesh: MeshSettings | None = None
    name: str = "steer"
    out_path: str | None = None

    def __post_init__(self) -> None:
        """Refuse a combiner that is unknown, or has nothing to combine for."""
        if self.combine is not None and self.combine not in COMBINERS:
            raise InputError(f"combine: '{self.combine}' is not known{did_you_mean(self.combine, COMBINERS)}")
        if self.combine is not None and self.method == "sift":
            raise InputError(f"combine: sift takes both gradients as they are; leave out '{self.combine}', or choose the method "
                             "muon or adamw")
        self.sift_settings()

    @property
    def task_settings(self) -> TaskSettings:
        """Of a task given by name alone, the defaults."""
        return TaskSettings(self.task) if isinstance(self.task, str) else self.task

    def sift_settings(self) -> SiftSettings:
        """The preset's choices, and what the config says instead."""
        chosen: dict[str, Any] = dict(PRESETS[self.preset]) if self.preset else {}
        if window := chosen.get("where"):
            chosen["where"] = asdict(window)
        return from_mapping(SiftSettings, chosen | self.sift, "sift")
