"""What the scripts of benchmarks/ share: turns, sums, ratios, targets, pages, and one thread for everybody."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import render
from suite import harness, markdown, peers, plots, settled
from suite.harness import Timed, Way, combine, compare
from suite.report import Comparison, Curve, Report, Row, Table
from suite.targets import TARGETS

BENCHMARKS = Path(render.__file__).parent


def test_ways_take_turns_and_the_first_call_is_apart():
    calls = []
    ways = [Way(name, lambda name=name: calls.append(name)) for name in "abc"]
    rows = compare("", [*ways, Way("d", None, missing="not here")], 4).rows
    assert "".join(calls) == "abc" + "abc" + "bca" + "cab" + "abc"
    assert [len(row.cpu) for row in rows] == [4, 4, 4, 0] and rows[3].missing == "not here"
    assert rows[0].first is not None


def test_a_call_in_a_process_of_its_own_counts_from_the_first():
    row = compare("", [Way("a", lambda: Timed(2.0, 3.0, 5), lambda value: {"value": value})], 1).rows[0]
    assert (row.cpu, row.wall, row.first, row.facts) == ([2.0, 2.0], [3.0, 3.0], None, {"value": 5})


def test_cpu_seconds_count_children():
    timed, _ = harness.clocked(lambda: subprocess.run([sys.executable, "-c", "for i in range(3_000_000): pass"], check=True))
    assert timed.cpu > 0.02


def pair(ours, theirs, error=0.0):
    return Comparison("", [Row("ours", 1.0, ours, ours, {"error": error}), Row("theirs", 2.0, theirs, theirs, {"error": 0.5})])


def test_sums_are_weighted_round_by_round():
    total = combine("all", [(2, pair([1, 2], [3, 4], 0.1)), (-1, pair([1, 1], [2, 2], 0.3))])
    assert total.rows[0].cpu == [1, 3] and total.rows[1].cpu == [4, 6]
    assert total.rows[0].facts == {"error": 0.3} and total.rows[1].first == 2.0


def test_a_ratio_is_the_median_of_the_rounds():
    assert pair([1, 2, 10], [4, 6, 10]).ratio("theirs") == 3
    assert pair([1, 2], [4, 6]).ratio("ours", "theirs") == pytest.approx((1 / 4 + 2 / 6) / 2)
    assert pair([1], []).ratio("theirs") is None


def test_a_target_is_met_on_its_own_side():
    by_name = {target.name: target for target in TARGETS}
    assert [by_name["all_leaves"].met(value) for value in (1.9, 2, 3)] == ["no", "must", "aim"]
    assert [by_name["sweep_f32"].met(value) for value in (3.1, 3, 1.5)] == ["no", "must", "aim"]


def test_exponent_of_a_power():
    curve = Curve("", "", [1, 2, 4, 8], [3 * size**1.5 for size in (1, 2, 4, 8)], 1)
    assert math.isclose(markdown.exponent(vars(curve)), 1.5)


def test_numbers_are_short():
    assert [markdown.number(value) for value in (0, 0.12345, 12.3456, 1234.5, 3e-13, 2e7, None, "text")] == [
        "0", "0.123", "12.3", "1,234", "3.0e-13", "2.0e+07", "", "text"]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder of results with one script in it, and a page to be made of it."""
    report = Report("How long?", ["A note."], [pair([1, 2, 3], [4, 6, 9])], [Table("More", ["a", "b"], [["1", "2"]])],
                    measured={"all_leaves": 2.5})
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    monkeypatch.setattr(render, "RESULTS", tmp_path)
    monkeypatch.setattr(render, "PAGE", tmp_path / "RESULTS.md")
    for name, value in settled.ALIKE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["decompose.py"])
    harness.main(lambda tiny: report)
    return tmp_path


def test_a_script_writes_its_result_and_prints_its_section(results, capsys):
    result = json.loads((results / "decompose.json").read_text())
    assert result["question"] == "How long?" and result["measured"] == {"all_leaves": 2.5}
    assert result["machine"]["versions"]["jax"] and result["machine"]["date"]
    assert "| theirs | 6 [5, 7.5] | 6 | 2 | 3.00 | 0.5 |" in markdown.section(result)


def test_tiny_figures_are_not_kept(results, capsys):
    (results / "decompose.json").unlink()
    sys.argv.append("--tiny")
    harness.main(lambda tiny: Report(f"Tiny is {tiny}."))
    assert "figures mean nothing" in capsys.readouterr().out and not list(results.glob("*.json"))


def test_the_page_has_targets_sections_plots_and_accelerators(results):
    (results / "accelerator.md").write_text("## Accelerators\n\nNone.\n")
    render.main()
    page = (results / "RESULTS.md").read_text()
    assert "| ≥ 2 | ≥ 3 | 2.5 | must |" in page and "| – | not measured |" in page
    assert page.index("not measured |") < page.index("stands in the way") < page.index("- *all leaves of a 0.5B model")
    assert page.index("| target |") < page.index("## decompose.py") < page.index("results/decompose.svg") < page.index("None.")
    assert (results / "decompose.svg").exists() and "ours,2" in (results / "decompose.csv").read_text()


def test_curves_are_drawn(tmp_path):
    found = Report("Why?", curves=[Curve("one", "size", [1, 2], [1, 2], 1), Curve("two", "other", [1, 4], [1, 3], 1)])
    assert plots.draw("curves", found.result(0, 0), tmp_path)
    assert (tmp_path / "curves.png").exists() and "size,one,1,1" in (tmp_path / "curves.csv").read_text()


def test_the_fastest_arrangement_is_taken():
    assert peers.fastest({"slow": lambda: sum(range(300_000)), "fast": lambda: 0})[0] == "fast"


def test_a_missing_module_is_none():
    assert peers.find("no_such_module_anywhere") is None


def test_a_script_starts_itself_on_one_core_with_one_thread():
    environment = {name: value for name, value in os.environ.items() if name not in settled.ALIKE and name != settled.STARTED}
    show = (f"import sys, os; sys.argv[0] = {str(BENCHMARKS / 'x.py')!r}; sys.path.insert(0, {str(BENCHMARKS)!r}); "
            "import suite.settled; print(os.environ['OPENBLAS_NUM_THREADS'], len(os.sched_getaffinity(0)))")
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["1", "1"]
