"""The LoRA adapters that a run holds: where they lie, how their learning rate was chosen, and what to be wary of."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtrunc.core import jsonio, processes
from jaxtrunc.core.rundir import RunDir

ARTEFACT = "lora"
RATES = f"{ARTEFACT}/rates.json"


def adapter_name(rank: int) -> str:
    """Where in RUN the adapter of a rank lies."""
    return f"{ARTEFACT}/r{rank}"


def trained_adapters(run: RunDir) -> dict[int, Path]:
    """Rank → directory, ascending; `InputError` if one was changed. The same in every process."""
    run.verify(ARTEFACT, "run")
    return {rank: run / adapter_name(rank) for rank in processes.collect(_ranks(run))[0]}


def lora_facts(run: RunDir) -> dict[str, Any] | None:
    """What results.json says of the LoRA control; None if there is none."""
    if not (run / RATES).exists():
        return None
    return jsonio.read_json(run / RATES) | {"ranks": _ranks(run)}


def lora_warnings(facts: Mapping[str, Any] | None) -> list[str]:
    """Where the search for a learning rate leaves doubt."""
    searched = facts["searched"] if facts else []
    if len(searched) < 2 or facts is None:
        return []
    rate, rates = facts["learning_rate"], [entry["learning_rate"] for entry in searched]
    warnings = [f"LoRA with the learning rate {entry['learning_rate']:g} failed and was left out: {entry['failed']}"
                for entry in searched if entry["failed"]]
    if rate in (min(rates), max(rates)):
        end = "largest" if rate == max(rates) else "smallest"
        warnings.append(f"the best learning rate of LoRA, {rate:g}, is the {end} that was tried: a better one may lie beyond it")
    return warnings


def _ranks(run: RunDir) -> list[int]:
    names = [path.name for path in (run / ARTEFACT).iterdir()] if (run / ARTEFACT).is_dir() else []
    return sorted(int(name[1:]) for name in names if re.fullmatch(r"r\d+", name))
