"""The spectra of results.json by layer and module type, read from Hugging Face tensor names."""

import re
from dataclasses import dataclass
from statistics import median
from typing import Any

from jaxtrunc.report.study import Results

LAYER = re.compile(r"\.(\d+)\.")
SAME = ("frobenius", "relative_norm", "stable_rank", "effective_rank", "effective_rank_energy", "participation_ratio", "tail_slope",
        "zero_share", "below_bf16", "mp_valid", "spikes", "bulk_energy", "intruders")
EDGES = ("mp_edge", "dg_hard", "signflip_edge")
ORDER = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")  # as data flows through a block


@dataclass(frozen=True)
class Spectrum:
    """What is known of one matrix's update.

    Attributes:
      curve: (k, share of ‖ΔW‖² in the leading k components), in increasing k.
      relative_norm: ‖ΔW‖_F / ‖W_base‖_F.
      mp_edge, dg_hard, signflip_edge: as shares of s₁, the largest singular value.
    """

    name: str
    layer: int | None
    module: str
    rank: int
    frobenius: float | None
    relative_norm: float | None
    stable_rank: float | None
    effective_rank: float | None
    effective_rank_energy: float | None
    participation_ratio: float | None
    tail_slope: float | None
    k90: int | None
    zero_share: float | None
    below_bf16: float | None
    mp_valid: bool | None
    mp_edge: float | None
    dg_hard: float | None
    signflip_edge: float | None
    spikes: int | None
    bulk_energy: float | None
    intruders: int | None
    curve: tuple[tuple[int, float], ...]

    def size(self, relative: bool) -> float | None:
        """Norm of the update, in per cent of the base weight's norm if `relative`."""
        if not relative:
            return self.frobenius
        return None if self.relative_norm is None else 100 * self.relative_norm


def by_module(results: Results) -> dict[str, list[Spectrum]]:
    """Module type (`q_proj`, `up_proj`, `qkv_proj#q`) → its matrices in order of layer; modules as data flows."""
    groups: dict[str, list[Spectrum]] = {}
    for name, entry in (results.get("spectra") or {}).items():
        spectrum = _spectrum(name, entry)
        groups.setdefault(spectrum.module, []).append(spectrum)
    names = sorted(groups, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    return {name: sorted(groups[name], key=lambda s: (s.layer or 0, s.name)) for name in names}


def by_layer(results: Results) -> dict[str, list[Spectrum]]:
    """Layer number (or a name for what lies in no layer) → its matrices, in order."""
    spectra = [spectrum for group in by_module(results).values() for spectrum in group]
    layers = sorted({spectrum.layer for spectrum in spectra if spectrum.layer is not None})
    groups = {str(layer): [spectrum for spectrum in spectra if spectrum.layer == layer] for layer in layers}
    outside = [spectrum for spectrum in spectra if spectrum.layer is None]
    return groups | ({"outside the layers": outside} if outside else {})


def summary(group: list[Spectrum], name: str) -> tuple[float, float, float] | None:
    """Median, lowest and highest of one number over the matrices of a group; None if it is unknown."""
    known = [value for spectrum in group if (value := getattr(spectrum, name)) is not None]
    return (median(known), min(known), max(known)) if known else None


def _spectrum(name: str, entry: dict[str, Any]) -> Spectrum:
    plain, mark, part = name.partition("#")
    found = LAYER.search(plain)
    rank = entry.get("rank") or min(entry.get("shape") or [0])
    read: dict[str, Any] = {key: entry.get(key) for key in SAME} | {key: _of_largest(entry, key) for key in EDGES}
    return Spectrum(
        name=name, layer=int(found[1]) if found else None, rank=rank, curve=_curve(entry, rank),
        module=plain.removesuffix(".weight").split(".")[-1] + mark + part, k90=(entry.get("energy_k") or {}).get("0.9"),
        **read)


def _of_largest(entry: dict[str, Any], key: str) -> float | None:
    """A singular value as a share of the largest, ‖ΔW‖_F / √(stable rank)."""
    value, frobenius, stable = (entry.get(name) for name in (key, "frobenius", "stable_rank"))
    return value * stable**0.5 / frobenius if value is not None and frobenius and stable else None


def _curve(entry: dict[str, Any], rank: int) -> tuple[tuple[int, float], ...]:
    """The energy curve; where it is absent, the three points that `energy_k` gives."""
    if entry.get("energy_curve"):
        return tuple((int(k), float(share)) for k, share in entry["energy_curve"] if k > 0 and share is not None)
    points = {int(k): float(share) for share, k in (entry.get("energy_k") or {}).items() if k}
    return tuple(sorted((points | {rank: 1.0}).items())) if points and rank else ()
