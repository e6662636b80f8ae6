"""The spectra of results.json by layer and module type, read from Hugging Face tensor names."""

import re
from dataclasses import dataclass
from statistics import median
from typing import Any

from jaxtrunc.report.study import Results

LAYER = re.compile(r"\.(\d+)\.")
ORDER = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")  # as data flows through a block


@dataclass(frozen=True)
class Spectrum:
    """What is known of one matrix's update.

    Attributes:
      curve: (k, share of ‖ΔW‖² in the leading k components), in increasing k.
      relative_norm: ‖ΔW‖_F / ‖W_base‖_F.
    """

    name: str
    layer: int | None
    module: str
    rank: int
    frobenius: float | None
    relative_norm: float | None
    stable_rank: float | None
    effective_rank: float | None
    k90: int | None
    zero_share: float | None
    mp_valid: bool | None
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


def summary(group: list[Spectrum], name: str) -> tuple[float, float, float] | None:
    """Median, lowest and highest of one number over the matrices of a module type; None if it is unknown."""
    known = [value for spectrum in group if (value := getattr(spectrum, name)) is not None]
    return (median(known), min(known), max(known)) if known else None


def _spectrum(name: str, entry: dict[str, Any]) -> Spectrum:
    plain, mark, part = name.partition("#")
    found = LAYER.search(plain)
    rank = entry.get("rank") or min(entry.get("shape") or [0])
    same = ("frobenius", "relative_norm", "stable_rank", "effective_rank", "zero_share", "mp_valid")
    return Spectrum(
        name=name, layer=int(found[1]) if found else None, rank=rank, curve=_curve(entry, rank),
        module=plain.removesuffix(".weight").split(".")[-1] + mark + part, k90=(entry.get("energy_k") or {}).get("0.9"),
        **{key: entry.get(key) for key in same})


def _curve(entry: dict[str, Any], rank: int) -> tuple[tuple[int, float], ...]:
    """The energy curve; where it is absent, the three points that `energy_k` gives."""
    if entry.get("energy_curve"):
        return tuple((int(k), float(share)) for k, share in entry["energy_curve"] if k > 0 and share is not None)
    points = {int(k): float(share) for share, k in (entry.get("energy_k") or {}).items() if k}
    return tuple(sorted((points | {rank: 1.0}).items())) if points and rank else ()
