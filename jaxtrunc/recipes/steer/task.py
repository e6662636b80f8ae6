"""What every steering task gives: a base model, rows of both objectives, and what is measured.

    task = open_task(TaskSettings("tofu", base_model="models/small"), here, place, None)  # or whatever makes a SteerTask
    done = steer_run(task, config, directory, resume=False)  # recipes/steer/train.py; config: a SteerConfig
    done.params, done.before["test"], done.after["test"]  # {metric: value}

The losses are made from `kind`, not by the task: a task only names its arrays as `jaxtrunc.steer.objectives` reads them, and leaves
out what the frozen reference says (`*_reference`, `retain_hidden`), which is computed once from `params` before the first step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jax.sharding import Mesh

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.trees import Params
from jaxtrunc.models import DecoderConfig
from jaxtrunc.recipes.steer.rows import Table

Kind = Literal["unlearn", "safety", "speech", "hallucination"]
Split = Literal["validation", "test"]
Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class TaskSettings:
    """The key `task` of a config.

    Attributes:
      name: of a task.
      base_model: REF to begin with; null: what the task makes itself.
      data: directory of the task's files, beside the config file; null: made from the seed.
      rows: primary rows for training, at most; null: all.
      seed: of what is drawn: rows, splits, a base model made from scratch.
    """

    name: str
    base_model: str | None = None
    data: str | None = None
    rows: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values outside their range with an `InputError` that names the key."""
        for name, value, least in (("rows", self.rows, 1), ("seed", self.seed, 0)):
            if value is not None and value < least:
                raise InputError(f"task: {name} must be at least {least}, found {value}")


@dataclass(frozen=True)
class SteerTask:
    """One task; tasks of equal `kind`, `cfg` and array shapes share their compiled steps, whatever their seed.

    Attributes:
      name: as in the config's key `task`.
      kind: which pair of losses, and which published preset.
      cfg, params: the base model, float32; `params` are never changed.
      tables: groups of rows for training that are drawn together, every array (rows, …); see `rows.RowStream`. By kind:
        unlearn: forget {forget_tokens, forget_labels, forget_mask}, retain {retain_tokens, retain_labels, retain_mask};
        safety: pairs {chosen_*, rejected_*}, helpful {helpful_*}; speech: rows {tokens, labels, mask};
        hallucination: rows {span_*, prefix_*, corrected_*}; each * stands for tokens, labels, mask (`rows.answer_table`).
      metrics: (params, split) → {name: value}; the same names for both splits.
      better: name → whether higher or lower is better; drawn and compared in this order, the primary objective's first.
      text_vocabulary: of speech: ids from here on are codec tokens.
      source: directory whose config.json and tokenizer go along with the written model.
      facts: further plain facts for steer.json (rows used, where they come from, seed of a base made here).
    """

    name: str
    kind: Kind
    cfg: DecoderConfig
    params: Params
    tables: Mapping[str, Table]
    metrics: Callable[[Params, Split], dict[str, float]]
    better: Mapping[str, Direction]
    source: Path
    text_vocabulary: int | None = None
    facts: Mapping[str, object] | None = None


Open = Callable[[TaskSettings, Path, Path, Mesh | None], SteerTask]
"""(settings, directory of the config file, directory for a base model made here, kept when resuming, mesh that `params` may be laid
out over) → the task."""
