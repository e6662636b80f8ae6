"""Sweeps with bfloat16 operands: how far they agree with float32, what is said of them, and that records are kept apart."""

import gzip
import json
import shutil

import numpy as np
import pytest
from little import balanced

from jaxtrunc.demo import ASSETS
from jaxtrunc.evals import Scorer, record_key
from jaxtrunc.models import Execution
from jaxtrunc.recipes.bench import open_bench
from jaxtrunc.recipes.pair import open_side
from jaxtrunc.recipes.weights import load

LOGITS = 0.05  # of logits that spread by 1 or more: operands of 8 bits, sums of some hundred products
TYPED = ("--operators", "top_k,bottom_k", "--ranks", "1,16", "--resume")


@pytest.fixture(scope="module")
def many_rows(pair, tmp_path_factory):
    """The task of the pair on 1,200 test rows."""
    folder = tmp_path_factory.mktemp("many")
    with gzip.open(ASSETS / "rows.jsonl.gz", "rt") as file:
        rows = balanced([json.loads(line) for line in file], "test", 1200)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "task.yaml").write_text(pair.task.read_text().replace("validation: validation, ", ""))
    return open_bench(folder / "task.yaml", folder, pair.base, ("test",)).eval_set("test", 64)


@pytest.fixture(scope="module")
def scorers(pair):
    """One in float32 and one in bfloat16, compiled once."""
    cfg = open_side(str(pair.base)).source.cfg
    return [Scorer(cfg, Execution(compute_dtype=dtype)) for dtype in ("float32", "bfloat16")]


@pytest.mark.parametrize("side", ["base", "ft"])
def test_predictions_and_logits_agree_with_float32(pair, many_rows, scorers, side):
    params = load(open_side(str(getattr(pair, side))).leaves, None)
    exact, rounded = (scorer.score(params, many_rows) for scorer in scorers)
    assert len(many_rows) >= 1000 and np.mean(exact.predictions == rounded.predictions) >= 0.995
    np.testing.assert_allclose(rounded.scores, exact.scores, atol=LOGITS)
    assert exact.scores.std() > 1 and np.abs(rounded.scores - exact.scores).max() > 1e-4, "nothing was rounded"
    assert rounded.scores.dtype == np.float32


@pytest.fixture(scope="module")
def both(pair, study, tmp_path_factory):
    """A copy of the float32 study that went on in bfloat16: its directory, and the splits scored for that by dtype."""
    from jaxtrunc.cli import main

    run = tmp_path_factory.mktemp("both") / "run"
    shutil.copytree(study, run)
    scored = []
    original = Scorer.score

    def counted(self, params, rows):
        scored.append((self._execution.compute_dtype, rows.split))
        return original(self, params, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scorer, "score", counted)
        main(["sweep", str(run), "--task", str(pair.task), *TYPED, "--dtype", "bfloat16", "-q"])
    return run, scored


def lines(run):
    return [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]


def test_records_of_the_other_dtype_stay_and_are_not_mixed(study, both):
    run, scored = both
    before, after = lines(study), lines(run)
    assert after[:len(before)] == before
    assert {record["dtype"] for record in after[len(before):]} == {"bfloat16"}, "float32 was asked of levels that were there"
    assert scored == [("bfloat16", split) for _ in range(6) for split in ("validation", "test")]  # ft, base, 2 operators × 2 ranks
    assert len({record_key(record) for record in after}) == len(after)
    results = json.loads((run / "results.json").read_text())
    shown = [*results["records"], *results["selection"]["records"], *results["endpoints"].values()]
    assert {record["dtype"] for record in shown} == {"bfloat16"} and len(results["records"]) == 6


def test_results_say_what_was_rounded(study, both):
    results, exact = (json.loads((run / "results.json").read_text()) for run in (both[0], study))
    precision = results["verdict"]["precision"]
    k = results["selection"]["k"]
    assert exact["verdict"]["precision"] is None and (precision["dtype"], precision["weights"]) == ("bfloat16", "merged")
    assert set(precision["agreement"]) == ({"FT", f"k* = {k}"} if k in (1, 16) else {"FT"})
    assert set(precision["agreement"]["FT"]) == {"validation", "test"} and precision["least"] > 0.9
    assert any(warning.startswith("bfloat16 operands, merged:") for warning in results["warnings"])
    assert not any("operands" in warning for warning in exact["warnings"])
    assert results["environment"]["dtypes"]["evaluation"] == "bfloat16"
    for entry in results["spectra"].values():
        assert 0 < entry["roundoff_delta"] < 1
    assert all(entry["roundoff_delta"] == 0 for entry in exact["spectra"].values())
    cut = next(record for record in results["records"] if (record["operator"], record["k"]) == ("top_k", 1))
    assert 0 < cut["roundoff"]["delta"]["median"] <= cut["roundoff"]["delta"]["max"]


def test_float32_comes_back_as_it_was(pair, study, both, jaxtrunc, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(both[0], run)
    monkeypatch.setattr(Scorer, "score", lambda *_: pytest.fail("a level was scored again"))
    code, said = jaxtrunc("sweep", run, "--task", pair.task, "--ranks", "0,1,4,16,96", "--seeds", "0,1", "--alphas", "0.5",
                          "--match-norm", "--log-samples", "--resume")
    assert code == 0, said
    now, before = (json.loads((path / "results.json").read_text()) for path in (run, study))
    assert now["records"] == before["records"] and now["verdict"] == before["verdict"]
