"""The tasks by name: four made from a seed, three from real data."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from jax.sharding import Mesh

from jaxtrunc.core.errors import InputError, did_you_mean
from jaxtrunc.recipes.steer.offline.tasks import WORLDS, offline_task
from jaxtrunc.recipes.steer.real.refusals import refusals
from jaxtrunc.recipes.steer.real.selfaware import selfaware
from jaxtrunc.recipes.steer.real.tofu import tofu
from jaxtrunc.recipes.steer.task import Open, SteerTask, TaskSettings


def open_task(settings: TaskSettings, here: Path, place: Path, mesh: Mesh | None) -> SteerTask:
    """The task of a config in the directory `here`; what it makes itself is kept in `place`, a base that is given lies over `mesh`.

    Raises:
      InputError: an unknown name, or whatever is wrong with base model and data.
    """
    if settings.name not in TASKS:
        raise InputError(f"task: '{settings.name}' is not known{did_you_mean(settings.name, TASKS)}")
    return TASKS[settings.name](settings, here, place, mesh)


def _offline(settings: TaskSettings, here: Path, place: Path, mesh: Mesh | None, *, name: str) -> SteerTask:
    del here, mesh
    given = [key for key in ("base_model", "data", "rows") if getattr(settings, key) is not None]
    if given:
        raise InputError(f"task: {given[0]}: '{name}' makes its base model and its rows from the seed; leave it out")
    return offline_task(name, settings.seed, place)


TASKS: Mapping[str, Open] = {name: partial(_offline, name=name) for name in WORLDS} | {
    "tofu": tofu, "refusals": refusals, "selfaware": selfaware}
