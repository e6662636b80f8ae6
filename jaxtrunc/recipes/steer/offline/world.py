"""What each of the four worlds offers."""

from collections.abc import Mapping
from typing import ClassVar, Protocol

import numpy as np

from jaxtrunc.core.trees import Params
from jaxtrunc.models import DecoderConfig
from jaxtrunc.recipes.steer.offline.rows import Rows
from jaxtrunc.recipes.steer.rows import Table
from jaxtrunc.recipes.steer.task import Direction, Kind, Split


class World(Protocol):
    """One task at one seed, which decides tables, splits and every row.

    Attributes:
      name: of the task.
      kind: its losses.
      pretraining, batch, rate: steps, rows of each and peak learning rate of the base.
      better: metric → whether higher or lower is better; the two that are traded for each other first.
      cfg: of the decoder.
      text_vocabulary: ids from here on are codec tokens; None: there are none.
      seed: of this world.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]
    pretraining: ClassVar[int]
    batch: ClassVar[int]
    rate: ClassVar[float]
    better: ClassVar[Mapping[str, Direction]]
    cfg: ClassVar[DecoderConfig]
    text_vocabulary: ClassVar[int | None]
    seed: int

    def __init__(self, seed: int) -> None: ...

    def corpus(self, rng: np.random.Generator, number: int) -> Rows:
        """Rows that the base is trained on."""
        ...

    def tables(self, rng: np.random.Generator, number: int) -> dict[str, Table]:
        """Rows of both objectives, `number` in each table, as `SteerTask` has them."""
        ...

    def measure(self, params: Params, split: Split, base: Params) -> dict[str, float]:
        """The task's metrics on one split; `base` is what steering began with."""
        ...
