"""Known answer (d): a pair saved in bfloat16, whose update has four true components and a tail that is rounding."""

import known_runs
import numpy as np
import pytest
from known_runs import ROUNDED_RANK

from jaxtrunc.report.findings import findings


@pytest.fixture(scope="module")
def runs(workshop, tmp_path_factory):
    """results.json of the same pair, saved in either dtype."""
    folder = tmp_path_factory.mktemp("rounding")
    return {dtype: known_runs.rounded(workshop, folder / dtype, dtype).results for dtype in ("bfloat16", "float32")}


@pytest.mark.slow
def test_the_tail_of_the_bf16_pair_is_rounding(runs):
    """Beyond the four components: nothing in float32; in bfloat16 a tail of full rank that ends near the predicted edge."""
    ranks = {dtype: [entry["rank"] for entry in results["spectra"].values()] for dtype, results in runs.items()}
    assert set(ranks["float32"]) == {ROUNDED_RANK} and min(ranks["bfloat16"]) > 8 * ROUNDED_RANK
    above = [entry["above_bf16"] for entry in runs["bfloat16"]["spectra"].values()]
    assert min(above) >= ROUNDED_RANK, "no true component is taken for rounding"
    assert np.median(above) <= 2 * ROUNDED_RANK, "the edge is that of even noise: weights of uneven size poke out a little"


@pytest.mark.slow
def test_it_is_warned_of_and_stands_in_the_findings(runs):
    """The warning names what is wrong; the findings say what of the tail is not shown."""
    rounded, clean = runs["bfloat16"], runs["float32"]
    assert any("bf16_source" in warning and "rounding noise" in warning for warning in rounded["warnings"])
    said = findings(rounded)
    assert any("hold bfloat16 values" in sentence for sentence in said.shown)
    assert any("tail of the update" in sentence and "bfloat16" in sentence for sentence in said.not_shown)
    assert not any("bf16" in warning for warning in clean["warnings"])
    assert not any("hold bfloat16 values" in sentence for sentence in (*findings(clean).shown, *findings(clean).not_shown))
