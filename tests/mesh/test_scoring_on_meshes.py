"""Scores on eight devices are those of one, for both ways of scoring."""

import numpy as np
import pytest
from tiny_eval import CONFIG, SINGLE, STRINGS, random_params, random_set

from jaxtrunc.core.mesh import compute_mesh
from jaxtrunc.core.trees import flatten, unflatten
from jaxtrunc.evals import Applied, Scorer, Sweep
from jaxtrunc.models import Execution
from jaxtrunc.train.layout import laid_out

PARAMS = random_params()


def rows_of(scoring):
    strings = SINGLE if scoring == "verbalizer" else STRINGS
    return random_set(continuations=strings, scoring=scoring, batch_size=12)


@pytest.fixture(scope="module")
def one_device():
    scorer = Scorer(CONFIG, Execution())
    return {scoring: scorer.score(PARAMS, rows_of(scoring)) for scoring in ("verbalizer", "likelihood")}


@pytest.mark.parametrize(("shape", "scoring"), [
    ((8, 1, 1), "likelihood"), ((1, 8, 1), "verbalizer"), ((1, 1, 8), "likelihood"), ((2, 2, 2), "verbalizer"),
    ((2, 2, 2), "likelihood"), ((4, 1, 2), "verbalizer")])
def test_scores_are_those_of_one_device(one_device, shape, scoring):
    mesh, want = compute_mesh(*shape), one_device[scoring]
    got = Scorer(CONFIG, Execution(), mesh).score(unflatten(laid_out(flatten(PARAMS), mesh)), rows_of(scoring))
    np.testing.assert_allclose(got.scores, want.scores, atol=1e-4)
    np.testing.assert_allclose(got.mass, want.mass, atol=1e-5)
    np.testing.assert_array_equal(got.predictions, want.predictions)


def test_records_are_those_of_one_device(tmp_path):
    mesh, levels, outcomes = compute_mesh(2, 2, 2), (("ft", None, 0), ("base", None, 9), ("top_k", 1, 2)), []
    rows = [random_set(split="validation", seed=1), random_set()]
    for name, where in (("one", None), ("eight", mesh)):
        def apply(seed, where=where) -> Applied:
            return Applied(unflatten(laid_out(flatten(random_params(seed)), where)), {"max_norm_factor": None, "roundoff": None})

        loop = Sweep(tmp_path / name, Scorer(CONFIG, Execution(), where), rows, dtype="float32", log_samples=False)
        (tmp_path / name).mkdir()
        described = [({"operator": op, "k": k, "residual": "ft", "scope": "per_leaf"}, lambda seed=seed, apply=apply: apply(seed))
                     for op, k, seed in levels]
        outcomes.append(loop.run(described, lambda steps=1, note="": None).records)
    for one, eight in zip(*outcomes, strict=True):
        assert one["predictions"] == eight["predictions"] and one["groups"] == eight["groups"]
        assert one["metrics"] == pytest.approx(eight["metrics"], abs=1e-4)
