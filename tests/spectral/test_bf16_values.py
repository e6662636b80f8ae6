"""A pair that went through bfloat16 is known by its values, whatever dtype it is stored in."""

import ml_dtypes
import numpy as np
from matrices import NAME, decomposed, gaussian, with_spectrum

from jaxtrunc.spectral import diagnostics


def saved(weights):
    """As a bfloat16 checkpoint stored again as float32."""
    return weights.astype(ml_dtypes.bfloat16).astype(np.float32)


def of(base, ft):
    return diagnostics(decomposed({NAME: base}, {NAME: ft}), {NAME: base}, {NAME: ft})[NAME]


def test_rounding_is_found_where_few_entries_are_unchanged():
    """Four strong components under an update whose tail is rounding: those four rise above the edge of the noise."""
    base = saved(gaussian(160, 120, 1, 0.02))
    ft = base + with_spectrum(np.array([0.4, 0.3, 0.2, 0.1]), 160, 120)
    exact, rounded = of(base, ft), of(base, saved(ft))
    assert rounded["bf16_source"] and rounded["zero_share"] < 0.2 and rounded["above_bf16"] == 4
    assert rounded["rank"] == 120 and exact["rank"] == 4 and not exact["bf16_source"]
    assert exact["above_bf16"] == 4


def test_no_edge_where_the_update_rounded_away():
    base = saved(gaussian(160, 120, 1, 0.02))
    found = of(base, saved(base + gaussian(160, 120, 2, 1e-5)))
    assert found["bf16_source"] and found["zero_share"] > 0.2 and found["above_bf16"] is None
