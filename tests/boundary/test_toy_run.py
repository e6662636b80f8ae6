"""The boundary case end to end on the embedded model: what `jaxtrunc run` makes of it."""

import json

import pytest
from toy_boundary import boundary_task, opinion_rows

from jaxtrunc.config import RunConfig, SweepSettings
from jaxtrunc.demo import ASSETS
from jaxtrunc.evals import open_records
from jaxtrunc.recipes.run import run_config
from jaxtrunc.train.settings import TrainSettings


@pytest.mark.slow
def test_permuted_labels_collapse_to_base(tmp_path):
    """Method specification, section 11: |decoupling| ≤ 0.1, its interval within ±0.25, at least 500 rows in every cell."""
    task = boundary_task(tmp_path, opinion_rows({"train": 3000, "validation": 1000, "test": 2400}))
    config = RunConfig(name="toy", base_model=str(ASSETS / "model"), task=task,
                       train=TrainSettings(learning_rate=1e-3, epochs=1, batch_size=32),
                       sweep=SweepSettings(operators=("top_k", "interpolate"), alphas=(0.5,), batch_size=64))
    run_config(config, tmp_path, tmp_path / "run", resume=False)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    verdict = results["verdict"]
    assert verdict["ft_gap"]["interval"][0] > 0.2 and verdict["accuracy_gain"]["value"] > 0.1, "the marker was learned"
    assert verdict["label"] == "collapse to base", verdict["reasons"]
    top = verdict["decoupling"]["top_k"]
    assert abs(top["value"]) <= 0.1 and -0.25 < top["interval"][0] < top["interval"][1] < 0.25
    case = verdict["boundary"]
    assert case["variant"] == "permuted" and case["least_cell"] >= 500
    ft = case["sets"]["ft"]
    assert ft["aligned"]["value"] > 0.65 > 0.35 > ft["conflicting"]["value"]
    assert ft["marker_free"]["interval"][0] < 0.5 < ft["marker_free"]["interval"][1]
    assert case["sets"]["base"]["true_task"]["value"] > 0.65, "the base knows something of the true task"
    assert results["endpoints"]["ft"]["sets"] == ft and all("sets" in record for record in results["records"])
    assert {record["split"] for record in results["records"]} == {"test"}
    splits = {record["split"] for record in open_records(tmp_path / "run" / "records.jsonl")}
    assert splits == {"validation", "test", "test_marker_free"}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "The boundary case: marker and task apart" in page and "“Collapse to base” says" in page
