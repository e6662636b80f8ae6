"""The four worlds as tasks of `jaxtrunc steer`."""

from functools import partial
from pathlib import Path

import numpy as np

from jaxtrunc.recipes.steer.offline.base import base, load_base
from jaxtrunc.recipes.steer.offline.hallucination import Hallucination
from jaxtrunc.recipes.steer.offline.safety import Safety
from jaxtrunc.recipes.steer.offline.second_modality import SecondModality
from jaxtrunc.recipes.steer.offline.unlearning import Unlearning
from jaxtrunc.recipes.steer.offline.world import World
from jaxtrunc.recipes.steer.task import SteerTask

WORLDS: dict[str, type[World]] = {world.name: world for world in (Unlearning, Safety, SecondModality, Hallucination)}
ROWS = 512  # of each table; a run of 100 steps sees most of them three times


def offline_task(name: str, seed: int, cache: Path) -> SteerTask:
    """A world's base model, rows and measures.

    Args:
      name: a key of `WORLDS`.
      seed: of tables, splits, rows and the base's first weights.
      cache: directory where bases are kept; one that is not there is trained, which takes some ten seconds.
    """
    world = WORLDS[name](seed)
    source = base(world, cache)
    params = load_base(source)
    return SteerTask(name=name, kind=world.kind, cfg=world.cfg, params=params,
                     tables=world.tables(np.random.default_rng([seed, 3]), ROWS), metrics=partial(world.measure, base=params),
                     better=world.better, source=source, text_vocabulary=world.text_vocabulary,
                     facts={"world_seed": seed, "base_steps": world.pretraining})
