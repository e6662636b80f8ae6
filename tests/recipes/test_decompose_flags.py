"""The flags of `decompose` reach its settings; leading components and float32 are marked wherever they are used."""

import json

import pytest

from jaxtrunc.config import DecomposeSettings
from jaxtrunc.spectral import load


@pytest.mark.parametrize(("flags", "wanted"), [
    ([], DecomposeSettings()),
    (["-i", "q_proj", "-e", "layers.0", "--leading", "8"], DecomposeSettings(("q_proj",), ("layers.0",), leading=8)),
    (["--fast"], DecomposeSettings(backend="gram32")),
    (["--backend", "device", "--eigensolver", "host"], DecomposeSettings(backend="device", eigensolver="host"))], ids=str)
def test_every_setting_has_its_flag(jaxtrunc, monkeypatch, flags, wanted):
    taken = []
    monkeypatch.setattr("jaxtrunc.recipes.decompose.decompose", lambda base, ft, out, settings, resume: taken.append(settings))
    code, said = jaxtrunc("decompose", "--base-model", "a", "--model", "b", "--out-path", "c", *flags)
    assert code == 0, said
    assert taken == [wanted]


def test_fast_and_another_backend_exclude_each_other(refused):
    refused("decompose", "--base-model", "a", "--model", "b", "--out-path", "c", "--fast", "--backend", "host",
            words=("--fast", "--backend host"))


def decomposed(jaxtrunc, pair, out, *flags) -> str:
    code, said = jaxtrunc("decompose", "--base-model", pair.base, "--model", pair.ft, "--out-path", out, *flags)
    assert code == 0, said
    return said


@pytest.fixture(scope="module")
def few(pair, tmp_path_factory):
    """A sweep of top_k on eight leading components, every second level exactly."""
    from jaxtrunc.cli import main

    run = tmp_path_factory.mktemp("few") / "run"
    main(["decompose", "--base-model", str(pair.base), "--model", str(pair.ft), "--out-path", str(run), "--leading", "8", "-q"])
    main(["sweep", str(run), "--task", str(pair.task), "--operators", "top_k", "--limit", "40", "--exact-every", "2", "-q"])
    return run


def test_the_default_ranks_end_with_what_is_known_and_the_result_says_so(few):
    results = json.loads((few / "results.json").read_text())
    ranks = [record["k"] for record in results["records"] if record["operator"] == "top_k"]
    assert ranks[:5] == [0, 1, 2, 4, 8] and len(ranks) == 6
    assert results["config"]["decompose"]["leading"] == 8
    assert all(len(svd.s) == 8 for svd in load(few / "decomposition").matrices.values())


def test_every_second_level_has_its_drift(few):
    records = [json.loads(line) for line in (few / "records.jsonl").read_text().splitlines()]
    told = {record["k"]: record["drift"] for record in records if "drift" in record}
    assert set(told) == {1, 4, 96}  # of 0, 1, 2, 4, 8 and full
    assert told[96] is None and 0 < told[4] < 1e-6  # at full rank nothing is accumulated


def test_what_needs_the_tail_is_refused_and_a_rank_beyond_too(few, pair, refused):
    refused("sweep", few, "--task", pair.task, "--operators", "bottom_k", "--resume", words=("bottom_k", "--leading"))
    refused("sweep", few, "--task", pair.task, "--operators", "top_k", "--ranks", "9", "--resume", words=("k = 9", "--leading"))


def test_a_run_that_could_not_be_swept_is_refused_before_anything_is_done(tmp_path, pair, refused):
    config = tmp_path / "run.yaml"
    config.write_text(f"name: few\nbase_model: {pair.base}\nmodel: {pair.ft}\ntask: {pair.task}\ndecompose: {{leading: 8}}\n")
    refused("run", config, "--out-path", tmp_path / "out", words=("leading 8", "bottom_k", "sweep.operators"))
    refused("run", config, "decompose.leading=null", "decompose.backend=gram32", "--out-path", tmp_path / "out", words=("gram32",))
    assert not (tmp_path / "out").exists()


def test_fast_says_what_it_costs_and_marks_the_decomposition_and_the_report(tmp_path, pair, jaxtrunc):
    said = decomposed(jaxtrunc, pair, tmp_path / "fast", "--fast")
    assert "against float64, singular values off by at most" in said
    head = json.loads((tmp_path / "fast" / "decomposition" / "decomposition.json").read_text())
    assert head["backend"] == "gram32" and 0 < head["measured"]["float32"]["singular_values"] < 1e-2
    code, said = jaxtrunc("sweep", tmp_path / "fast", "--task", pair.task, "--operators", "top_k", "--ranks", "2", "--limit", "20")
    assert code == 0, said
    assert any("float32 Gram" in text for text in json.loads((tmp_path / "fast" / "results.json").read_text())["warnings"])
