"""What rounding has done to a pair of checkpoints, as warnings: a bfloat16 tail is what a study would take for a finding."""

from collections.abc import Mapping
from statistics import median
from typing import Any

ROUNDOFF = 0.1


def rounding_warnings(spectra: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Sentences about the matrices of `spectra` (as results.json has them) whose update rounding has written over."""
    warnings = []
    marked = {name: entry for name, entry in spectra.items() if entry["bf16_source"]}
    if marked:
        warnings.append(f"bf16_source: {len(marked)} of {len(spectra)} cut matrices hold bfloat16 values, or updates that "
                        f"rounded away ({_share(marked, 'zero_share')} of the entries did not change), so their tail is rounding "
                        f"noise, for example {next(iter(marked))}; {_edge(marked)}")
    large = [name for name, entry in spectra.items() if entry["roundoff_delta"] > ROUNDOFF]
    if large:
        warnings.append(f"rounding the fine-tuned weights to the dtype of evaluation changes {len(large)} matrices by more than "
                        f"{ROUNDOFF:.0%} of their update, for example {large[0]}")
    return warnings


def _edge(marked: Mapping[str, Mapping[str, Any]]) -> str:
    known = [entry for entry in marked.values() if entry.get("above_bf16") is not None]
    if not known:
        return f"updates are below bfloat16 resolution ({_share(marked, 'below_bf16')} of the entries of ΔW)"
    above, rank = (round(median(entry[key] for entry in known)) for key in ("above_bf16", "rank"))
    return f"in the median matrix {above} of {rank} components rise above the edge of that noise"


def _share(entries: Mapping[str, Mapping[str, Any]], key: str) -> str:
    return f"{100 * median(entry[key] for entry in entries.values()):.0f} %"
