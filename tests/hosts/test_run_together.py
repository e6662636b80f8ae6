"""The complete `jaxtrunc run` by two processes: the results of one, and nothing hangs or is lost when one is killed."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from programs import CONFIG, PEER_TIMEOUT, finish, start, wait_for_lines


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("hosts") / "config.yaml"
    file.write_text(CONFIG)
    return file


@pytest.fixture(scope="module")
def alone(config) -> Path:
    """One process with all eight devices."""
    run = config.with_name("alone")
    assert finish(start(1, "run", config, "--out-path", run, devices=8)) == [(0, "")]
    return run


def results(run: Path) -> dict:
    return json.loads((run / "results.json").read_text())


def losses(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def assert_same(ours: Path, theirs: Path) -> None:
    """Loss curve, singular values, and every number of every record."""
    np.testing.assert_allclose(losses(ours), losses(theirs), rtol=1e-4)
    mine, other = results(ours), results(theirs)
    assert mine["spectra"].keys() == other["spectra"].keys()
    for name, facts in mine["spectra"].items():
        np.testing.assert_allclose(facts["frobenius"], other["spectra"][name]["frobenius"], rtol=1e-3)
    assert len(mine["records"]) == len(other["records"])
    for record, known in zip(mine["records"], other["records"], strict=True):
        assert (record["operator"], record["k"], record["seed"]) == (known["operator"], known["k"], known["seed"])
        for metric, value in record["metrics"].items():
            assert value == pytest.approx(known["metrics"][metric], abs=1e-3), (record["operator"], record["k"], metric)
    assert mine["selection"]["k"] == other["selection"]["k"] and mine["verdict"]["label"] == other["verdict"]["label"]


@pytest.mark.slow
def test_two_processes_give_the_results_of_one(config, alone):
    run = config.with_name("two")
    assert finish(start(2, "run", config, "--out-path", run, devices=4)) == [(0, ""), (0, "")]
    assert_same(run, alone)
    assert results(run)["environment"]["process_count"] == 2
    assert (run / "report.html").exists() and not [*run.glob(".*.staged")]
    parts = [line for file in (run / "decomposition").glob("matrices-*.jsonl") for line in file.read_text().splitlines()]
    names = [json.loads(line)["name"] for line in parts]
    assert len(names) == len(set(names)) == len(results(alone)["spectra"])
    assert len({*(run / "decomposition").glob("matrices-*.jsonl")}) == 2  # both worked


@pytest.mark.slow
@pytest.mark.parametrize(("victim", "place", "count"), [(1, "records.jsonl", 3), (0, "records.jsonl", 5), (1, "metrics.jsonl", 5)])
def test_one_of_two_is_killed(config, alone, victim, place, count):
    run = config.with_name(f"killed-{victim}-{place}")
    processes = start(2, "run", config, "--out-path", run, devices=4)
    wait_for_lines(run / place, count, processes)
    os.killpg(processes[victim].pid, signal.SIGKILL)
    began = time.monotonic()
    outcome = finish(processes, within=PEER_TIMEOUT + 60)
    took = time.monotonic() - began
    code, said = outcome[1 - victim]
    assert code == 3 and "--resume" in said and f"process {victim}" in said, outcome
    assert took < PEER_TIMEOUT + 60
    assert finish(start(2, "run", config, "--out-path", run, "--resume", devices=4)) == [(0, ""), (0, "")]
    assert_same(run, alone)


@pytest.mark.slow
def test_what_two_processes_began_one_can_end(config, alone):
    run = config.with_name("begun")
    processes = start(2, "run", config, "--out-path", run, devices=4)
    wait_for_lines(run / "metrics.jsonl", 7, processes)
    for process in processes:
        os.killpg(process.pid, signal.SIGTERM)
    assert [code for code, _ in finish(processes, within=60)] == [3, 3]
    assert finish(start(1, "run", config, "--out-path", run, "--resume", devices=2)) == [(0, "")]
    assert_same(run, alone)


def test_a_wrong_input_stops_both_with_its_own_code(config):
    broken = config.with_name("broken.yaml")
    broken.write_text(CONFIG.replace("operators: [top_k", "operators: [top_q"))
    outcome = finish(start(2, "run", broken, "--out-path", config.with_name("broken"), devices=2), within=120)
    assert [code for code, _ in outcome] == [2, 2] and all("top_q" in said for _, said in outcome)
    assert not config.with_name("broken").exists()


@pytest.mark.slow
def test_a_directory_that_is_not_shared(config, tmp_path):
    """Process 1 sees another folder under the same name; it waits as long as a network file system may need."""
    folders = (tmp_path / "a", tmp_path / "b")
    for folder in folders:
        folder.mkdir()
    outcome = finish(start(2, "run", config, "--out-path", "run", devices=2, folders=folders), within=180)
    assert [code for code, _ in outcome] == [2, 2]
    assert all("does not see the manifest.json" in said and "storage that all of them share" in said for _, said in outcome)
