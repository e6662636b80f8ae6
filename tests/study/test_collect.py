"""collect: the table, the JSON and the page from runs whose numbers are known; what is damaged is named."""

import csv
import json
from pathlib import Path

import pytest
from made_runs import made, write_run

from jaxtrunc.core import jsonio


def numbers_of(base: str, task: str, seed: int) -> dict:
    """Different gaps and reductions for every run."""
    gap = 0.30 + 0.02 * seed + (0.1 if base == "large" else 0)
    return {"gap_ft": gap, "gap_k": gap / 4, "task": task, "seed": seed, "reduction": (4.0 + seed, 3.0, 6.0)}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A study of two bases, two tasks, two seeds: one cell damaged, one failed, one not begun; and a run outside of it."""
    root = tmp_path_factory.mktemp("runs")
    cells = {}
    for base in ("small", "large"):
        for task in ("hans", "civil_comments"):
            for seed in (0, 1):
                name = f"{base}-{task}-s{seed}"
                cells[name] = {"base": base, "task": task, "seed": seed, "state": "done", "error": None, "seconds": 1.0}
                if name not in ("large-hans-s1", "large-civil_comments-s1"):
                    write_run(root / "grid" / name, made(**numbers_of(base, task, seed)), base=base, task=task, seed=seed)
    (root / "grid" / "large-hans-s0" / "results.json").write_text("{}")
    cells["large-hans-s1"] |= {"state": "failed", "error": "the loss is no number <any more>"}
    cells["large-civil_comments-s1"] |= {"state": "waiting"}
    jsonio.write_json(root / "grid" / "study.json", {"schema_version": 1, "name": "grid", "cells": cells})
    write_run(root / "alone", made(task="marker", boundary="ceiling", label="collapse to base", decoupling=(0.0, -0.05, 0.05)))
    (root / "unfinished").mkdir()
    jsonio.write_json(root / "unfinished" / "manifest.json", {"schema_version": 1, "verbs": {}, "files": {}})
    return root


@pytest.fixture(scope="module")
def collected(study, tmp_path_factory) -> Path:
    from jaxtrunc.cli import main

    out = tmp_path_factory.mktemp("collected") / "all"
    main(["collect", str(study), "--out-path", str(out), "-q"])
    return out


@pytest.fixture(scope="module")
def facts(collected) -> dict:
    return jsonio.read_json(collected / "collect.json")


def test_every_sound_run_is_there_in_order(facts):
    assert [run["name"] for run in facts["runs"]] == [
        "alone", "small-hans-s0", "small-hans-s1", "small-civil_comments-s0", "small-civil_comments-s1", "large-civil_comments-s0"]
    assert (facts["runs"][0]["base"], facts["runs"][0]["task"], facts["runs"][0]["boundary"]) == ("small", "marker", True)


def test_numbers_are_those_of_the_results(facts):
    run = next(run for run in facts["runs"] if run["name"] == "small-hans-s1")
    assert run["gap"]["ft"] == {"value": 0.32, "interval": pytest.approx([0.29, 0.35])} and run["gap"]["selected"]["value"] == 0.08
    assert run["accuracy"]["ft"]["value"] == 0.80 and run["k"] == 8 and run["verdict"] == "supported"
    assert run["reduction"] == {"value": 5.0, "interval": [3.0, 6.0]} and run["loss_pp"]["upper95"] == 1.7
    assert run["factors"]["gap_worst"]["value"] == 2.0 and run["factors"]["fpr_gap"]["value"] == pytest.approx(4.0)


def test_the_csv_has_a_row_per_run(collected, facts):
    with open(collected / "collect.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [run["name"] for run in facts["runs"]]
    row = rows[2]
    assert (row["reduction"], row["reduction_low"], row["loss_pp_claim"]) == ("5.0", "3.0", "confirmed")
    assert row["advantage_interpolate"] == "0.05" and row["factor_gap_worst"] == "2.0"


def test_seeds_are_summed_up(facts):
    group = next(group for group in facts["seeds"] if (group["base"], group["task"]) == ("small", "hans"))
    assert group["seeds"] == [0, 1] and group["verdicts"] == {"supported": 2}
    assert group["quantities"]["reduction"] == {"mean": 4.5, "range": [4.0, 5.0], "values": [4.0, 5.0]}
    assert group["quantities"]["gap_ft"]["mean"] == pytest.approx(0.31)


def test_spectra_are_compared_between_tasks_of_one_base_and_seed(facts):
    pairs = {(pair["a"], pair["b"]) for pair in facts["similarity"]}
    assert pairs == {("small-hans-s0", "small-civil_comments-s0"), ("small-hans-s1", "small-civil_comments-s1")}
    assert all(pair["value"] == 0 for pair in facts["similarity"])  # the same synthetic spectra


def test_what_cannot_be_shown_is_named_with_its_reason(facts, collected):
    reasons = {Path(item["path"]).name: item["reason"] for item in facts["unusable"]}
    assert reasons.keys() == {"large-hans-s0", "large-hans-s1", "large-civil_comments-s1", "unfinished"}
    assert "changed" in reasons["large-hans-s0"] and "results.json" in reasons["unfinished"]
    assert reasons["large-hans-s1"].startswith("failed: the loss") and "not begun" in reasons["large-civil_comments-s1"]
    page = (collected / "collect.html").read_text()
    assert "the loss is no number &lt;any more&gt;" in page and "large-hans-s0" in page


def test_the_page_stands_alone(collected):
    page = (collected / "collect.html").read_text()
    assert "<script" not in page and "src=" not in page and 'href="http' not in page
    assert page.count("<svg") == len(list((collected / "plots").glob("*.svg"))) >= 6
    for name in ("gaps", "accuracies", "losses", "reductions", "advantage_interpolate", "spectra", "similarity"):
        assert (collected / "plots" / f"{name}.csv").exists() and f"plots/{name}.csv" in page
    for words in ("confirmed", "not tested", "gap_pooled", "collapse to base", "5.00× [3.00, 6.00]", "4.50 (4.00 to 5.00)"):
        assert words in page, words


def test_the_tables_in_markdown(collected, facts):
    """Every table is whole: as many cells in each row as in its head, a row per run, and no cell ends one."""
    text = (collected / "collect.md").read_text()
    parts = [part.splitlines() for part in text.split("## ")[1:]]
    tables = {part[0]: [line for line in part if line.startswith("|")] for part in parts}
    for lines in tables.values():
        assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    rows = next(lines for title, lines in tables.items() if title.startswith("Every run"))
    assert [line.split(" | ")[0].strip("| ") for line in rows[2:]] == [run["name"] for run in facts["runs"]]
    assert "5.00× [3.00, 6.00]" in text and "4.50 (4.00 to 5.00)" in text


def test_nothing_is_overwritten(collected, study, program):
    before = (collected / "collect.json").read_bytes()
    code, _, said = program("collect", study, "--out-path", collected)
    assert code == 2 and "nothing is overwritten" in said and (collected / "collect.json").read_bytes() == before


def test_what_was_typed_must_be_there(tmp_path, program, study):
    assert program("collect", tmp_path / "nowhere", "--out-path", tmp_path / "out")[0] == 2
    assert program("collect", tmp_path, "--out-path", tmp_path / "out")[0] == 2
    code, _, said = program("collect", study / "unfinished", "--out-path", tmp_path / "out")
    assert code == 2 and "results.json" in said and not (tmp_path / "out").exists()
    assert program("collect")[0] == 2


def test_a_damaged_study_file_is_no_way_out(tmp_path, program):
    write_run(tmp_path / "s" / "inside", made())
    write_run(tmp_path / "outside", made())
    cells = {"../outside": {"state": "done"}}
    jsonio.write_json(tmp_path / "s" / "study.json", {"schema_version": 1, "name": "s", "cells": cells})
    assert program("collect", tmp_path / "s", "--out-path", tmp_path / "out", "-q")[0] == 0
    found = json.loads((tmp_path / "out" / "collect.json").read_text())
    assert [run["name"] for run in found["runs"]] == ["inside"] and "outside" in found["unusable"][0]["reason"]


def test_runs_of_one_name_are_told_apart(tmp_path, program):
    for place in ("a", "b"):
        write_run(tmp_path / place / "run", made())
    assert program("collect", tmp_path / "a", tmp_path / "b", "--out-path", tmp_path / "out", "-q")[0] == 0
    names = [run["name"] for run in json.loads((tmp_path / "out" / "collect.json").read_text())["runs"]]
    assert len(set(names)) == 2 and all("run" in name for name in names)
