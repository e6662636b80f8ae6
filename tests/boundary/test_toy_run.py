"""The boundary case end to end on the embedded model: what `jaxtrunc run` makes of it."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from toy_boundary import boundary_task, opinion_rows

from jaxtrunc.demo import ASSETS
from jaxtrunc.evals import open_records


def run(folder, config):
    """`jaxtrunc run` on one device, in a process of its own: eight virtual ones wait for each other on a busy machine."""
    (folder / "toy.yaml").write_text(yaml.safe_dump(config))
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = [sys.executable, "-m", "jaxtrunc", "run", folder / "toy.yaml", "--out-path", folder / "run", "-q"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_permuted_labels_collapse_to_base(tmp_path):
    """|decoupling| ≤ 0.1, its interval within ±0.25, at least 500 rows in every cell."""
    task = boundary_task(tmp_path, opinion_rows({"train": 3000, "validation": 1000, "test": 2400}))
    run(tmp_path, {"name": "toy", "base_model": str(ASSETS / "model"), "task": task,
                   "train": {"learning_rate": 1e-3, "epochs": 1, "batch_size": 32},
                   "sweep": {"operators": ["top_k", "interpolate"], "alphas": [0.5], "batch_size": 64}})
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    verdict = results["verdict"]
    assert verdict["ft_gap"]["interval"][0] > 0.2 and verdict["accuracy_gain"]["value"] > 0.1, "the marker was learned"
    assert verdict["label"] == "collapse to base", verdict["reasons"]
    top = verdict["decoupling"]["top_k"]
    assert abs(top["value"]) <= 0.1 and -0.25 < top["interval"][0] < top["interval"][1] < 0.25
    case = verdict["boundary"]
    assert case["variant"] == "permuted" and case["least_cell"] >= 500
    ft = case["sets"]["ft"]
    assert ft["aligned"]["value"] > 0.6 > 0.4 > ft["conflicting"]["value"]
    assert ft["marker_free"]["interval"][0] < 0.5 < ft["marker_free"]["interval"][1]
    assert case["sets"]["base"]["true_task"]["value"] > 0.6, "the base knows something of the true task"
    assert results["endpoints"]["ft"]["sets"] == ft and all("sets" in record for record in results["records"])
    assert {record["split"] for record in results["records"]} == {"test"}
    splits = {record["split"] for record in open_records(tmp_path / "run" / "records.jsonl")}
    assert splits == {"validation", "test", "test_marker_free"}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "The boundary case: marker and task apart" in page and "“Collapse to base” says" in page
