"""results.json from what lies in a run, and the pages from it: numbers, pairing, words that could break a page, warnings."""

import json

import numpy as np
import pytest

from jaxtrunc.core import jsonio
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.evals.paired import paired_difference, seed_summary
from jaxtrunc.recipes.sae.results import gathered, write_results
from jaxtrunc.report.sae.cautions import findings

HOSTILE = "<script>alert(1)</script> | `x` \n second line"
EXPECTED = ["refuse"] * 4 + ["comply"] * 4


def outcomes(unsafe: int, safe: int) -> list[str]:
    """So many refusals of the four unsafe and of the four safe prompts."""
    return ["refusal"] * unsafe + ["answer"] * (4 - unsafe) + ["refusal"] * safe + ["answer"] * (4 - safe)


def evaluation(unsafe: int, safe: int) -> dict:
    metrics = {"refusal_rate": unsafe / 4, "over_refusal_rate": safe / 4, "incoherent_rate": 0.0, "refusal_logprob_margin": 0.5}
    return {"metrics": metrics, "intervals": {name: [0.0, 1.0] for name in metrics}, "phrases_hash": "h", "expected": EXPECTED,
            "outcomes": outcomes(unsafe, safe),
            "per_set": [{"set": "own", "expected": "refuse", "n": 4, "refused": unsafe / 4, "interval": [0, 1], "incoherent": 0.0}]}


def adapter(init: str, seed: int) -> dict:
    movement = {"w": {"angle_degrees": 12.0, "inside_u": 0.5, "inside_start": 0.5, "e_start": 0.1, "norm": 1.0}}
    return {"init": init, "seed": seed, "settings": {"a_init": "zero"}, "relative_size_at_start": {"w": 0.0}, "preset": None,
            "parameters": {"trainable": 1000, "percent_of_base": 0.2}, "movement": movement if init != "lora" else {},
            "columns": {"w": [{"angle_degrees": 3.0, "norm": 1.0, "features": [{"feature": 4, "cosine": -0.5}]}]}}


@pytest.fixture
def run(tmp_path) -> RunDir:
    """A finished run, written by hand."""
    made = RunDir(tmp_path / "run")
    made.begin("sae train resid_post.1", "sae/resid_post.1", {"base_model": "models/own"}, resume=False)
    for path, facts in {
        "sae/resid_post.1/metrics.json": {"l0": 8.0, "fvu": 0.1, "dead_fraction": 0.0, "max_decoder_cosine": 0.9, "rows": 10,
                                          "ce_recovered": 0.98},
        "features/resid_post.1.json": {"features": [{
            "index": 4, "delta": 1.0, "sign": -1, "mean_aligned": 0.0, "mean_unaligned": 1.0, "density_aligned": 0.0,
            "density_unaligned": 0.5, "t": None}], "described": [{
                "index": 4, "nearest": [{"feature": 1, "cosine": 0.3}], "tokens": {"top": [{"token": HOSTILE}], "bottom": []},
                "contexts": {"aligned": [], "unaligned": [{"value": 1.0, "before": "a", "token": HOSTILE, "after": "b"}]}}]},
        "subspace/resid_post.1.json": {"rank": 2, "q": 3, "variance": 0.6, "sigma_ratio": 1.2, "e_shuffled": 1.9, "e_most": 2.0,
                                       "e_controls": {"pca_diff": 1.5}, "settings": {}, "warnings": ["a subspace warning"],
                                       "columns": [[{"feature": 4, "loading": -0.9}]]},
        "labels.json": {"resid_post.1": {"4": {"label": HOSTILE}}},
        "evaluations/base.json": evaluation(0, 0),
    }.items():
        jsonio.write_json(made / path, facts)
    rates = {("subspace", 0): (4, 1), ("subspace", 1): (4, 0), ("lora", 0): (2, 1), ("lora", 1): (3, 1), ("lora", 2): (0, 0)}
    for (init, seed), rate in rates.items():
        jsonio.write_json(made / f"adapters/{init}-s{seed}/adapter.json", adapter(init, seed))
        jsonio.write_json(made / f"evaluations/{init}-s{seed}.json", evaluation(*rate))
    return made


def test_results_have_the_keys_of_the_contract(run):
    found = gathered(run)
    assert {"schema_version", "config", "environment", "warnings", "phrases_hash", "subspaces", "adapters"} <= set(found)
    assert {"rank", "q", "variance", "sigma_ratio", "e_shuffled"} <= set(found["subspaces"]["resid_post.1"])
    assert {"init", "a_init", "seed", "parameters", "metrics", "intervals"} <= set(found["adapters"]["lora-s0"])
    json.dumps(jsonio.strict(found), allow_nan=False)


def test_groups_are_seeds_and_differences_are_paired(run):
    groups = gathered(run)["groups"]
    assert groups["lora"]["seeds"] == [0, 1, 2] and groups["lora"]["metrics"]["refusal_rate"]["mean"] == pytest.approx(5 / 12)
    difference = groups["lora"]["minus_subspace"]["refusal_rate"]
    assert difference["seeds"] == 2 and difference["value"] == pytest.approx((2 + 3 - 8) / 8)  # seed 2 has no partner
    assert difference["by_seed"] == {0: -0.5, 1: -0.25}
    assert groups["subspace"]["minus_subspace"] == {} and groups["lora"]["reference"] == "subspace"


def test_other_questions_are_not_compared(run):
    changed = evaluation(2, 1) | {"questions": "of another file"}
    jsonio.write_json(run / "evaluations/lora-s1.json", changed)
    found = gathered(run)
    assert found["groups"]["lora"]["minus_subspace"] == {}
    assert [words for words in found["warnings"] if "asked other questions" in words] == [
        "adapter lora-s1: was asked other questions than the base model, or in another way; their rates do not compare"]


def test_warnings_name_few_seeds_and_what_the_subspace_says(run):
    warned = " ".join(gathered(run)["warnings"])
    assert "adapters subspace: 2 seeds" in warned and "a subspace warning" in warned and "adapters lora" not in warned


def test_the_pages_escape_what_they_show_and_are_the_same_twice(run):
    write_results(run.path)
    page, words = (run / "report.html").read_text(), (run / "report.md").read_text()
    assert "<script>" not in page and "<script>" not in words
    assert "&lt;script&gt;" in page and "E(U, U_shuffled) = 1.90" in page
    assert "one-dimensional" in page and "phrase" in page and "fallible" in page and "moves B away" in page
    row = next(line for line in words.splitlines() if line.startswith("| 4 "))
    assert row.endswith("|") and len(row.replace(r"\|", "").split("|")) == 8
    write_results(run.path)
    assert (run / "report.html").read_text() == page and (run / "report.md").read_text() == words


def test_a_run_of_an_autoencoder_alone_has_a_page_too(tmp_path, run):
    for part in ("subspace", "features", "adapters", "evaluations"):
        (run / part).rename(tmp_path / part)
    write_results(run.path)
    assert "None was trained." in (run / "report.html").read_text()


def test_paired_difference_by_hand():
    first = {0: [True, True, False], 1: [True, False, False]}
    second = {0: [False, True, False], 1: [False, False, True], 2: [True] * 3}
    found = paired_difference(first, second)
    assert found is not None
    by_prompt = np.array([1.0, 0.0, -0.5])
    half = 1.959964 * by_prompt.std(ddof=1) / np.sqrt(3)
    assert found["value"] == pytest.approx(1 / 6)
    assert found["interval"] == pytest.approx((1 / 6 - half, 1 / 6 + half), abs=1e-6)
    assert paired_difference({0: [True]}, {1: [True]}) is None


def test_a_seed_without_a_value_leaves_the_mean_out():
    assert seed_summary({0: 0.2, 1: None})["mean"] is None
    assert seed_summary({0: 0.2, 1: 0.4}) == {"mean": pytest.approx(0.3), "low": 0.2, "high": 0.4, "by_seed": {0: 0.2, 1: 0.4}}


def test_adapters_that_refuse_everybody_are_called_so(run):
    found = gathered(run)
    groups = {group: {"minus_subspace": {}} for group in ("all", "some", "none")}
    facts = {"all": ([0.8, 1.0], [0.9, 1.0]), "some": ([0.8, 1.0], [0.1, 0.3]), "none": ([0.0, 0.1], [0.0, 0.1])}
    adapters = {name: {"group": name, "metrics": {"refusal_rate": unsafe[0]},
                       "intervals": {"refusal_rate": unsafe, "over_refusal_rate": safe}} for name, (unsafe, safe) in facts.items()}
    said = " ".join(findings(found | {"groups": groups, "adapters": adapters}))
    assert "all: safe prompts are refused as often as unsafe ones" in said and "some" not in said and "none" not in said
