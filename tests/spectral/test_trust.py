"""A level that scores numerical noise is called by its name."""

import numpy as np
from matrices import NAME, OnZero, decomposed, gaussian, with_spectrum

from jaxtrunc.spectral import Level, Reconstructor, distrust


def test_a_control_that_was_blown_up_is_distrusted():
    made = OnZero(with_spectrum(np.geomspace(1, 1e-4, 40), 60, 40))
    blown = made.rebuild.weights(Level("bottom_k", k=1, norm_matched=True))
    reason, = distrust(blown.max_norm_factor, blown.roundoff("float32"), "float32")
    assert "norm of top_k" in reason
    fair = made.rebuild.weights(Level("bottom_k", k=30, norm_matched=True))
    assert 1 < fair.max_norm_factor < 100 and not distrust(fair.max_norm_factor, fair.roundoff("float32"), "float32")


def test_a_cast_that_hides_the_cut_is_distrusted():
    base = {NAME: gaussian(200, 120, 1, std=0.02)}
    for std, expected in ((1e-4, 1), (1e-2, 0)):
        ft = {NAME: base[NAME] + gaussian(200, 120, 2, std=std)}
        weights = Reconstructor(decomposed(base, ft), base, ft).weights(Level("top_k", k=60))
        reasons = distrust(None, weights.roundoff("bfloat16"), "bfloat16")
        assert len(reasons) == expected and all("bfloat16" in reason for reason in reasons)
        assert not distrust(None, weights.roundoff("float32"), "float32")


def test_a_record_without_either_is_trusted():
    assert distrust(None, None, "float32") == []
    assert distrust(None, {"ratio": None, "delta": None}, "float32") == []
