"""`jaxtrunc plan`: what a run will take, from headers and settings alone, before anything is paid for."""

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from jaxtrunc.config import DecomposeSettings, MeshSettings, RunConfig, SweepSettings, read_config
from jaxtrunc.core.chunks import core_count
from jaxtrunc.core.errors import InputError, RunFailed
from jaxtrunc.data import Task, find_task
from jaxtrunc.planning.job import Job, Machine, Matrix
from jaxtrunc.planning.meshes import MeshShape, parse_mesh
from jaxtrunc.planning.plan import Plan, divides_rows, make_plan
from jaxtrunc.planning.sizes import parse_size
from jaxtrunc.recipes.chosen import chosen_matrices
from jaxtrunc.recipes.pair import Pair, Side, located, open_pair, open_side
from jaxtrunc.recipes.plan_tables import print_plan
from jaxtrunc.train import TrainSettings

TEXT_TOKENS, TEMPLATE_TOKENS, CHARACTERS = 300, 32, 4
"""Assumed: of a text without a task file, of a chat template, and characters of instruction and field names per token."""


@dataclass(frozen=True)
class Where:
    """The machine as typed; None: as it is here, or as the config says."""

    mesh: str | None = None
    device_memory: str | None = None
    host_memory: str | None = None


@dataclass(frozen=True)
class What:
    """The run as typed: a config file, or models; `tokens` None: taken from the task."""

    config: Path | None = None
    overrides: tuple[str, ...] = ()
    base_model: str | None = None
    model: str | None = None
    decompose: DecomposeSettings = field(default_factory=DecomposeSettings)
    tokens: int | None = None


def plan(what: What, where: Where) -> None:
    """Print the plan.

    Raises:
      InputError: neither or both of config and base model, a malformed flag or file, a batch that the mesh does not divide.
      RunFailed: something does not fit; the tables are printed all the same.
    """
    made, assumed = planned(what, where)
    print_plan(made, assumed)
    if not made.fits:
        remedy = f"--mesh {made.suggestion} would do" if made.suggestion else "see the lines above"
        raise RunFailed(f"the run does not fit: {', '.join(made.shortages)}; {remedy}")


def planned(what: What, where: Where) -> tuple[Plan, str]:
    """The plan, and in a sentence what was assumed for it; reads no weights."""
    if (what.config is None) == (what.base_model is None):
        raise InputError("plan: expected a config file or --base-model, found " + ("neither" if what.config is None else "both"))
    return planned_config(_config(what), what.config.parent if what.config else Path(), what.tokens, where)


def planned_config(config: RunConfig, directory: Path, longest: int | None, where: Where) -> tuple[Plan, str]:
    """The same for a parsed config; `longest`: tokens of a prompt, None: taken from the task."""
    task = _task(config, directory)
    tokens, assumed = _tokens(longest, task)
    job = _job(config, directory, tokens)
    machine = _machine(where, config.mesh)
    if not divides_rows(job, machine.mesh):
        raise InputError(f"mesh {machine.mesh}: train.batch_size {config.train.batch_size} is not a multiple of "
                         f"{config.train.accumulation * machine.mesh.rows} (accumulation × devices along data and fsdp)")
    return make_plan(job, machine), assumed


def _config(what: What) -> RunConfig:
    """The config file, or one made of what was typed instead; -i and -e replace the file's."""
    if what.config is not None:
        config = read_config(what.config, what.overrides)
        typed = what.decompose.include or what.decompose.exclude
        return dataclasses.replace(config, decompose=what.decompose) if typed else config
    assert what.base_model is not None
    return RunConfig("plan", what.base_model, {}, what.model, TrainSettings(), what.decompose, SweepSettings())


def _task(config: RunConfig, directory: Path) -> Task | None:
    return find_task(config.task, directory) if config.task else None


def _tokens(given: int | None, task: Task | None) -> tuple[int, str]:
    """Tokens of the longest prompt, and how they were come by."""
    if given is not None:
        if given < 1:
            raise InputError(f"--tokens: expected at least 1, found {given}")
        return given, f"prompts of {given} tokens, as given"
    texts, words = (len(task.text), task.instruction + "".join(task.text)) if task else (1, "")
    most = task.max_text_tokens if task else TEXT_TOKENS
    tokens = texts * most + len(words) // CHARACTERS + TEMPLATE_TOKENS
    tokens = -(-tokens // 8) * 8
    source = "max_text_tokens of the task" if task else "no task was given"
    return tokens, f"prompts of {tokens} tokens ({source}: texts of {most}; --tokens N if the longest is another)"


def _job(config: RunConfig, directory: Path, tokens: int) -> Job:
    base_ref = located(config.base_model, directory)
    if config.model is None:
        base = open_side(base_ref)
        pair = Pair(base, Side("the model to be fine-tuned", base.source, base.leaves))
    else:
        pair = open_pair(base_ref, located(config.model, directory))
    chosen = chosen_matrices(pair, config.decompose)
    tuned = {path: 4 if config.model is None else np.dtype(leaf.dtype).itemsize for path, leaf in pair.ft.leaves.items()}
    stored = {path: np.dtype(leaf.dtype).itemsize for path, leaf in pair.base.leaves.items()}
    matrices = tuple(Matrix(ref.shape, stored[ref.path] + tuned[ref.path], stored[ref.path]) for ref in chosen)
    train = config.train if config.model is None else None
    return Job(pair.cfg, pair.base.leaves, matrices, config.decompose.leading, train, tokens, config.sweep.batch_size)


def _machine(where: Where, settings: MeshSettings) -> Machine:
    """The planned machine; the devices of this one are asked only where --device-memory does not say."""
    if where.device_memory is not None:
        memory, present = parse_size("--device-memory", where.device_memory), 1
    else:
        memory, present = _present_devices()
    host = _host_memory() if where.host_memory is None else parse_size("--host-memory", where.host_memory)
    others = settings.fsdp * settings.tensor
    mesh = parse_mesh(where.mesh) if where.mesh is not None else \
        MeshShape(settings.data or max(1, present // max(others, 1)), settings.fsdp, settings.tensor)
    if min(mesh.data, mesh.fsdp, mesh.tensor) < 1:
        raise InputError(f"mesh: expected sizes of at least 1, found {mesh}")
    return Machine(mesh, memory, host, core_count())


def _present_devices() -> tuple[int | None, int]:
    """Memory of a device of this machine (None: CPU) and how many there are."""
    import jax

    device = jax.local_devices()[0]
    if device.platform == "cpu":
        return None, jax.device_count()
    limit = (device.memory_stats() or {}).get("bytes_limit")
    if limit is None:
        raise InputError(f"{device.device_kind}: does not tell its memory; give --device-memory, such as 16GiB")
    return limit, jax.device_count()


def _host_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
