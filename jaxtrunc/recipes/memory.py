"""How much memory a verb has taken, beside what `jaxtrunc plan` says of it."""

from pathlib import Path
from typing import Any

from jaxtrunc.config import RunConfig
from jaxtrunc.core import memory, processes
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.progress import say
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.planning.sizes import in_words
from jaxtrunc.recipes.plan import Where, planned_config

STAGES = {"finetune": ("fine-tuning",), "decompose": ("decomposition",), "sweep": ("sweep",),
          "run": ("fine-tuning", "decomposition", "sweep")}
"""Verb → the stages of a plan that it goes through."""


def tell_memory(run: RunDir, verb: str, config: RunConfig, directory: Path) -> None:
    """Say the peak of all processes and the plan's in one line, and note both in the manifest, in bytes.

    Args:
      config: what was done, as a run config whose relative paths start from `directory`.
    """
    measured = _measured()
    planned = _planned(config, directory, STAGES[verb])
    found = {place: {"measured": measured[place], "planned": planned.get(place)} for place in measured}
    run.note(verb, {"memory": found})
    if processes.is_main():
        say(f"memory of {verb}: {'; '.join(_in_words(place, peak) for place, peak in found.items())}")


def _measured() -> dict[str, int]:
    """Peak per host, and of the fullest device where devices have memory of their own; CPU processes are taken to share a host."""
    found = processes.collect([memory.host_peak(), memory.device_peak()])
    hosts, devices = zip(*found, strict=True)
    if None in devices:
        return {"host": sum(hosts)}
    return {"host": max(hosts), "device": max(devices)}


def _planned(config: RunConfig, directory: Path, stages: tuple[str, ...]) -> dict[str, int]:
    """The plan's peaks of these stages; empty where none can be made for the devices that are here."""
    try:
        plan, _ = planned_config(config, directory, None, Where())
    except InputError:
        return {}
    chosen = [stage for stage in plan.stages if stage.name in stages]
    return {"host": max(stage.host_peak(plan.machine)[0] for stage in chosen),
            "device": max(stage.device_peak() for stage in chosen)}


def _in_words(place: str, peak: dict[str, Any]) -> str:
    planned = "not planned" if peak["planned"] is None else f"planned {in_words(peak['planned'])}"
    return f"{in_words(peak['measured'])} at most on {'a' if place == 'device' else 'the'} {place}, {planned}"
