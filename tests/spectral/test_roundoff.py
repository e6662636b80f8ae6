"""Round-off of a cast, against norms taken directly from the weights."""

import ml_dtypes
import numpy as np
import pytest
from matrices import decomposed, gaussian

from jaxtrunc.spectral import Level, Reconstructor, diagnostics

BASE = {"a/kernel": gaussian(2, 60 * 40, 1, 0.02).reshape(2, 60, 40), "b/kernel": gaussian(40, 70, 2, 0.02)}
FT = {path: leaf + gaussian(1, leaf.size, 3, 1e-4).reshape(leaf.shape) for path, leaf in BASE.items()}
DECOMPOSITION = decomposed(BASE, FT)


def matrices(tree):
    return [tree["a/kernel"][0], tree["a/kernel"][1], tree["b/kernel"]]


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16])
@pytest.mark.parametrize("level", [Level("top_k", k=4), Level("bottom_k", k=4, norm_matched=True), Level("interpolate", param=0.3)],
                         ids=str)
def test_both_ratios(level, dtype):
    weights = Reconstructor(DECOMPOSITION, BASE, FT).weights(level)
    ratios, deltas = [], []
    for base, ft, w in zip(*map(matrices, (BASE, FT, weights.leaves)), strict=True):
        error = np.linalg.norm(w.astype(dtype).astype(np.float64) - w)
        ratios.append(error / np.linalg.norm(ft.astype(np.float64) - w))
        deltas.append(error / np.linalg.norm(w.astype(np.float64) - base))
    found = weights.roundoff(dtype)
    for name, values in (("ratio", ratios), ("delta", deltas)):
        assert found[name] == pytest.approx({"median": np.median(values), "max": max(values)}, rel=1e-3)


def test_it_is_zero_in_float32_and_null_where_there_is_nothing_to_compare_with():
    rebuild = Reconstructor(DECOMPOSITION, BASE, FT)
    assert rebuild.weights(Level("top_k", k=4)).roundoff("float32") == {"ratio": {"median": 0, "max": 0},
                                                                       "delta": {"median": 0, "max": 0}}
    assert rebuild.weights(Level("top_k", k=40)).roundoff("bfloat16")["ratio"] is None
    assert rebuild.weights(Level("top_k", k=0)).roundoff("bfloat16")["delta"] is None
    assert rebuild.weights(Level("top_k", k=0)).roundoff("bfloat16")["ratio"]["max"] > 0


@pytest.mark.parametrize(("stored", "share"), [(np.float32, 0.33), (ml_dtypes.bfloat16, 0.31)])
def test_bf16_hides_a_third_of_a_typical_update(stored, share):
    """Weights of std 0.02 and an update of std 1e-4, as measured in the method's bf16 warning."""
    base = gaussian(400, 300, 1, 0.02).astype(stored)
    ft = base.astype(np.float32) + gaussian(400, 300, 2, 1e-4)
    facts = diagnostics(decomposed({"a": base}, {"a": ft}), {"a": base}, {"a": ft}, dtype=ml_dtypes.bfloat16)["a"]
    assert facts["roundoff_delta"] == pytest.approx(share, abs=0.02)
