"""A trained adapter on disk: PEFT factors as trained, where they began, what they cost, how far they moved, and a merged model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrunc.adapters import leaves_with_adapter, write_adapter
from jaxtrunc.core import jsonio
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.models import factor_path, hf_tensors, write_model
from jaxtrunc.recipes.sae.base import Base
from jaxtrunc.recipes.sae.chosen import read_chosen
from jaxtrunc.recipes.sae.controls import SiteBasis
from jaxtrunc.recipes.sae.training import Trained
from jaxtrunc.recipes.sae.words import best_matching
from jaxtrunc.sae.adapter import share_outside, update_size
from jaxtrunc.sae.arrays import write_arrays
from jaxtrunc.sae.recovery import principal_angles, recovery_error
from jaxtrunc.train.accounting import count_parameters

MODEL = "model"
MATCHES = 5


def export(base: Base, run: RunDir, name: str, made: Trained, starts: Mapping[str, SiteBasis | None], *, merge: bool,
           facts: dict[str, Any]) -> None:
    """Write RUN/adapters/NAME, whole or not at all."""
    adapter, factors = made.first.adapter, made.factors
    notes = f"Trained by `jaxtrunc sae adapt` from init {facts['init']}, seed {facts['seed']}; adapter.json says the rest."
    with run.stage(f"adapters/{name}") as staged:
        write_adapter(staged, factors, base_ref=base.side.ref, title=f"{name}: low-rank adapter from a subspace", notes=notes,
                      scale=adapter.scale)
        write_arrays(staged / "init", first_factors(made))
        jsonio.write_json(staged / "adapter.json", facts | {
            "base_model": base.side.ref, "parameters": count_parameters(adapter, base.cfg),
            "relative_size_at_start": made.first.relative_size, "movement": movement(made, starts),
            "columns": columns(run, made, starts)})
        if merge:
            _merge(base, staged)


def first_factors(made: Trained) -> dict[str, np.ndarray]:
    """`NAME.A` (r, in) and `NAME.B` (out, r) of every matrix at the start, without a compensating part."""
    found = {}
    for target in made.first.adapter.targets:
        a, b = (made.first.factors[factor_path(target.path, side)] for side in ("lora_a", "lora_b"))
        for row, name in enumerate(target.names):
            found |= {f"{name}.A": a[row].T, f"{name}.B": b[row].T}
    return found


def movement(made: Trained, starts: Mapping[str, SiteBasis | None]) -> dict[str, dict[str, Any]]:
    """Of every matrix that began in a basis: how far B went from it, and how much of ΔK lies in the run's own subspace.

    `angle_degrees`: mean principal angle between the spans of B now and at the start. `inside_start`, `inside_u`: share of ‖ΔK‖²
    whose output lies in the span of the first B, and in that of U of RUN/subspace; null where ΔK is zero.
    """
    rank, found = made.first.adapter.rank, {}
    for name, begins in made.first.begins.items():
        a, b = made.factors[name]
        start = starts[begins.site]
        assert start is not None  # it begins in a basis
        moves = bool(np.linalg.norm(b[:, :rank]))
        size = update_size(a.T, b.T)
        found[name] = {
            "site": begins.site, "zeroed_channels": begins.zeroed, "norm": made.first.adapter.scale * size,
            "angle_degrees": float(np.degrees(principal_angles(b[:, :rank], begins.basis).mean())) if moves else None,
            "e_start": recovery_error(b[:, :rank], begins.basis) if moves else None,
            "inside_start": 1 - share_outside(a.T, b.T, begins.basis) if size else None,
            "inside_u": 1 - share_outside(a.T, b.T, start.bundle.u) if size else None}
    return found


def columns(run: RunDir, made: Trained, starts: Mapping[str, SiteBasis | None]) -> dict[str, list[dict[str, Any]]]:
    """Of every matrix that began in a basis, each trained column of B: its angle to U and the features it is most parallel to."""
    found = {}
    for name, begins in made.first.begins.items():
        start, b = starts[begins.site], made.factors[name][1][:, :made.first.adapter.rank]
        assert start is not None
        lengths = np.maximum(np.linalg.norm(b, axis=0), 1e-30)
        inside = np.clip(np.linalg.norm(start.bundle.u.T @ (b / lengths), axis=0), 0, 1)
        features = best_matching(read_chosen(run, start.site, start.bundle.features).sae, b, MATCHES)
        found[name] = [{"angle_degrees": float(angle), "norm": float(length), "features": matches}
                       for angle, length, matches in zip(np.degrees(np.arccos(inside)), lengths, features, strict=True)]
    return found


def _merge(base: Base, staged: Path) -> None:
    """STAGED/model: float32, so that a study of the update meets no rounding."""
    source = base.side.source
    leaves = leaves_with_adapter(source, staged, base.side.leaves)
    write_model(staged / MODEL, hf_tensors(base.cfg, leaves), source=source.directory, cfg=base.cfg, dtype="float32")
