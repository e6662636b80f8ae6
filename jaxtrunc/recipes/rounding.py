"""What rounding does to a pair of checkpoints, as warnings: a bfloat16 tail is what a study would take for a finding."""

from collections.abc import Mapping
from statistics import median
from typing import Any

import numpy as np

from jaxtrunc import spectral
from jaxtrunc.evals.precision import EXACT, NEEDED
from jaxtrunc.spectral.roundoff import cast_error
from jaxtrunc.spectral.view import read_matrix

ROUNDOFF = 0.1


def as_evaluated(spectra: Mapping[str, Mapping[str, Any]], decomposition: spectral.Decomposition, ft: Mapping[str, Any],
                 dtype: str) -> Mapping[str, Mapping[str, Any]]:
    """`spectra` with the `roundoff_delta` of the dtype in which products read the fine-tuned weights `ft`."""
    if dtype == EXACT:
        return spectra
    return {name: {**spectra[name], "roundoff_delta": _share_of_update(svd, ft, dtype)}
            for name, svd in decomposition.matrices.items()}


def operand_warnings(precision: Mapping[str, Any] | None) -> list[str]:
    """What rounded operands mean, and how far they agree with float32; nothing where none were rounded."""
    if precision is None:
        return []
    dtype, least = precision["dtype"], precision["least"]
    verdict = "" if precision["holds"] else f", fewer than the {100 * NEEDED:.1f} % that a verdict asks for"
    return [f"{dtype} operands, merged: matrix products read W(k), base and update in one array, rounded to {dtype}, which adds "
            "noise of full rank that is no part of the update (`roundoff` of each record; sums, norms and the residual stream are "
            f"float32); at FT and k* at least {100 * least:.2f} % of the rows are predicted as in float32{verdict}"]


def _share_of_update(svd: spectral.MatrixSVD, ft: Mapping[str, Any], dtype: str) -> float:
    return cast_error(read_matrix(ft[svd.ref.path], svd.ref).astype(np.float32), dtype) / svd.frobenius


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
