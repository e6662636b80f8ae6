"""`jaxtrunc merge`: several models of one base become one, tensor by tensor, with what is known of their interference."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import yaml
from jax.sharding import Mesh

from jaxtrunc.core import environment, jsonio
from jaxtrunc.core.errors import shown
from jaxtrunc.core.files import new_directory, refuse_taken
from jaxtrunc.core.mesh import spectral_mesh
from jaxtrunc.core.progress import Advance, progress, say
from jaxtrunc.merge import merge_tensors
from jaxtrunc.merge.stream import divide
from jaxtrunc.models import write_model
from jaxtrunc.planning.sizes import parse_size
from jaxtrunc.recipes.merge_card import card
from jaxtrunc.recipes.merge_config import MergeConfig, MergeFlags, merge_config
from jaxtrunc.recipes.merge_models import Models, open_models
from jaxtrunc.report.merge import print_merge
from jaxtrunc.report.merge_map import write_interference

SCHEMA_VERSION = 1
SHARD = "5GB"


def merge(file: Path | None, out_path: Path, flags: MergeFlags, max_shard_size: str = SHARD) -> None:
    """Merge as the file and the flags say into `out_path`: a Hugging Face directory with card, config, facts and plots.

    Raises:
      InputError: anything wrong with config or models; nothing is written then.
    """
    refuse_taken(out_path)
    config, limit = merge_config(file, flags), parse_size("--max-shard-size", max_shard_size)
    models = open_models(config)
    divide(models.slots(), config.settings)  # so that what cannot be merged is refused before the work
    known = [*config.warnings, *models.warnings, *_unmatched(config, models)]
    for warning in known:
        say(f"warning: {warning}")
    with new_directory(out_path) as staged:
        facts = _write(staged, config, models, limit, known)
    print_merge(facts)
    for warning in facts["warnings"][len(known):]:
        say(f"warning: {warning}")
    say(f"merged: {out_path}")


def _write(staged: Path, config: MergeConfig, models: Models, limit: int, warnings: list[str]) -> dict[str, Any]:
    """Everything that the directory holds; returns the contents of merge.json."""
    tensors: dict[str, dict[str, Any]] = {}
    slots = models.slots()
    first = models.first.source
    with progress("merge", len(slots)) as advance:
        write_model(staged, _merged(config, models, tensors, advance), source=first.directory, cfg=first.cfg,
                    dtype=config.dtype or models.dtype, max_shard_bytes=limit)
    facts = _facts(config, [*warnings], {slot.name: tensors[slot.name] for slot in slots})
    jsonio.write_json(staged / "merge.json", facts)
    jsonio.write_text(staged / "merge_config.yaml", yaml.safe_dump(facts["config"], sort_keys=False, allow_unicode=True))
    jsonio.write_text(staged / "README.md", card(config, facts))
    write_interference(staged, facts)
    return facts


def _merged(config: MergeConfig, models: Models, tensors: dict[str, dict[str, Any]],
            advance: Advance) -> Iterator[tuple[str, np.ndarray]]:
    """Every tensor under its name, as it is finished; what is known of it goes to `tensors`."""
    for slot, merged in merge_tensors(models.slots(), models.opened, config.settings, _mesh()):
        tensors[slot.name] = jsonio.strict(merged.facts)
        advance(1, slot.name)
        yield slot.name, merged.tensor


def _unmatched(config: MergeConfig, models: Models) -> list[str]:
    """Whether `exclude` names no tensor."""
    pattern = config.settings.exclude
    matched = not pattern or any(re.search(pattern, slot.name) for slot in models.slots())
    return [] if matched else [f"exclude: {shown(pattern)} matches no tensor"]


def _facts(config: MergeConfig, warnings: list[str], tensors: dict[str, dict[str, Any]]) -> dict[str, Any]:
    lowered = [name for name, entry in tensors.items() if entry.pop("rank_lowered", False)]
    if lowered:
        tasks = config.settings.tasks
        warnings.append(f"rank {config.settings.rank} for {tasks} models does not fit {len(lowered)} matrices and was lowered "
                        f"there to min(m, n)/{tasks}, such as {lowered[0]}")
    return {"schema_version": SCHEMA_VERSION, "config": config.resolved(), "environment": environment.describe(),
            "warnings": warnings, "tensors": tensors}


def _mesh() -> Mesh | None:
    """The devices, where there are any besides the cores of the host, which threads use better."""
    return None if jax.default_backend() == "cpu" else spectral_mesh()
