"""The learning rate of LoRA is chosen once per base model and benchmark; the other training seeds take it over."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from jaxtrunc.config import RunConfig
from jaxtrunc.core import jsonio, processes
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.progress import say
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.recipes.adapters import RATES


def with_shared_rate(config: RunConfig, run: RunDir, others: Iterable[Path]) -> RunConfig:
    """The config of a cell with the learning rate that another seed has chosen, if one has; a search that began goes on.

    Args:
      others: run directories of the other training seeds of this base model and task.
    """
    if not config.lora.ranks or config.lora.learning_rate is not None:
        return config
    rate = processes.collect(None if _searches(run) else _chosen(others))[0]
    if rate is None:
        return config
    say(f"LoRA: learning rate {rate:g}, chosen with another training seed")
    return replace(config, lora=replace(config.lora, learning_rate=rate))


def _searches(run: RunDir) -> bool:
    """Whether this cell has begun to choose for itself."""
    search = run.manifest["verbs"].get("lora", {}).get("search")
    return isinstance(search, dict) and "learning_rate" not in search


def _chosen(runs: Iterable[Path]) -> float | None:
    """The first choice among `runs`; one that was handed on is the same. A damaged file is passed over."""
    for run in runs:
        try:
            rate = jsonio.read_json(run / RATES).get("learning_rate") if (run / RATES).exists() else None
        except (InputError, AttributeError):
            rate = None
        if isinstance(rate, float):
            return rate
    return None
