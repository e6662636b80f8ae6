"""`jaxtrunc lens` on model directories: what it writes, what it refuses, when it fails a release."""

import json
import re
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from planted import planted_clusters, write_model

from jaxtrunc.core.errors import InputError, RunFailed
from jaxtrunc.recipes.lens import LensRequest, lens
from jaxtrunc.recipes.lens_gates import judge, parse_gates

HEAD = planted_clusters()[0].astype(np.float32)


def facts_of(out: Path) -> dict:
    return json.loads((out / "lens.json").read_text())


def audited(tmp_path: Path, head: np.ndarray, shards: int = 1, **request) -> dict:
    tensors = {"model.norm.weight": np.ones(head.shape[1], np.float32), "lm_head.weight": head}
    model = write_model(tmp_path / "model", tensors, shards)
    lens(str(model), tmp_path / "out", LensRequest(**request))
    return facts_of(tmp_path / "out")


@pytest.fixture(scope="module")
def story_lens(shared_data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("story") / "out"
    lens(str(shared_data / "models" / "stories260k"), out, LensRequest())
    return out


def test_what_is_written(story_lens):
    facts, arrays = facts_of(story_lens), np.load(story_lens / "lens.npz")
    assert {"lens.json", "lens.npz", "report.html", "report.md"} == {file.name for file in story_lens.iterdir()}
    assert {name: arrays[name].shape for name in arrays.files} == {
        "sigma": (64,), "V": (64, 30), "U": (512, 30), **dict.fromkeys(
            ("wps1_K", "wps1_d", "wps2_K", "norm", "spread", "nn5", "glitch_score"), (512,))}
    assert {arrays[name].dtype.name for name in arrays.files} == {"float32"}
    keys = {"schema_version", "config", "source", "tokenizer", "environment", "numerical_rank", "spectrum", "directions", "wps",
            "scatter", "glitch", "duplicates", "padding", "special", "byte", "unused", "undecodable", "unreachable", "zero_rows",
            "categories", "texts", "worksheet", "caveats", "warnings", "gates", "text_policy", "comparison"}
    assert facts.keys() == keys
    assert facts["source"] | {"model": ""} == {
        "model": "", "file": "model.safetensors", "key": "model.embed_tokens.weight", "shape": [512, 64], "dtype": "float32",
        "tied": True, "model_type": "llama", "sha256": facts["source"]["sha256"]}
    assert len(facts["directions"]) == 30 and all(len(pole["tokens"]) == 20 for pole in facts["directions"][0]["poles"].values())
    assert re.fullmatch("[0-9a-f]{64}", facts["source"]["sha256"])
    assert facts["byte"] and not set(facts["byte"]) & {entry["id"] for entry in facts["glitch"]["never_trained"]}
    assert facts["worksheet"][0]["cause"] == "corpus composition" and len(facts["worksheet"]) == 7


def test_the_spectrum_of_a_real_head(story_lens, shared_data):
    from safetensors.numpy import load_file

    head = load_file(shared_data / "models" / "stories260k" / "model.safetensors")["model.embed_tokens.weight"].astype(np.float64)
    spectrum = facts_of(story_lens)["spectrum"]
    for found, matrix in ((spectrum, head), (spectrum["centred"], head - head.mean(0))):
        sigma = np.linalg.svd(matrix, compute_uv=False)
        share = sigma**2 / (sigma**2).sum()
        np.testing.assert_allclose(found["sigma"], sigma, rtol=1e-9)
        np.testing.assert_allclose(found["cumulative_energy"], np.cumsum(share), rtol=1e-9)
        assert found["stable_rank"] == pytest.approx(1 / share[0])
        assert found["effective_rank"] == pytest.approx(np.exp(-(share * np.log(share)).sum()))
        assert found["energy_k"]["0.9"] == np.flatnonzero(np.cumsum(share) >= 0.9)[0] + 1
        np.testing.assert_allclose(found["gap_ratios"], 1 - sigma[1:] / sigma[:-1], atol=1e-9)


def test_a_second_time_gives_the_same_bytes(story_lens, shared_data, tmp_path):
    lens(str(shared_data / "models" / "stories260k"), tmp_path / "again", LensRequest())
    for name in ("lens.json", "lens.npz", "report.html", "report.md"):
        assert (story_lens / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_padding_rows_are_kept_in_the_decomposition_or_dropped(shared_data, tmp_path):
    from safetensors.numpy import load_file

    head = load_file(shared_data / "models" / "stories260k" / "model.safetensors")["model.embed_tokens.weight"]
    longer = np.concatenate([head, np.tile(head[:1] * 0.1, (20, 1))]).astype(ml_dtypes.bfloat16)
    tokenizer = shared_data / "models" / "stories260k"
    model = write_model(tmp_path / "model", {"lm_head.weight": longer})
    lens(str(model), tmp_path / "kept", LensRequest(tokenizer=tokenizer))
    lens(str(model), tmp_path / "dropped", LensRequest(tokenizer=tokenizer, drop_padding=True))
    kept, dropped = facts_of(tmp_path / "kept"), facts_of(tmp_path / "dropped")
    assert kept["padding"] == list(range(512, 532)) and kept["glitch"]["reference"] == {"from": "padding", "count": 20}
    assert kept["tokenizer"]["length"] == 512 and kept["source"]["dtype"] == "bfloat16"
    assert max(token for group in kept["duplicates"] for token in group) < 512  # byte tokens, which bfloat16 makes one row
    assert np.isnan(np.load(tmp_path / "kept" / "lens.npz")["glitch_score"][512:]).all()
    assert dropped["padding"] == [] and np.load(tmp_path / "dropped" / "lens.npz")["U"].shape == (512, 30)
    exact = [np.linalg.svd(part.astype(np.float64), compute_uv=False)[0] for part in (longer, longer[:512])]
    assert [kept["spectrum"]["sigma"][0], dropped["spectrum"]["sigma"][0]] == pytest.approx(exact, rel=1e-9)


def test_the_norm_can_be_folded_in(tmp_path):
    gain = np.linspace(0.5, 2, 64).astype(np.float32)
    model = write_model(tmp_path / "model", {"model.norm.weight": gain, "lm_head.weight": HEAD}, 2)
    lens(str(model), tmp_path / "out", LensRequest(fold_norm=True))
    np.testing.assert_allclose(facts_of(tmp_path / "out")["spectrum"]["sigma"],
                               np.linalg.svd(HEAD.astype(np.float64) * gain, compute_uv=False), rtol=1e-5)


def test_no_text_where_none_is_wanted(shared_data, tmp_path):
    words = tmp_path / "words"
    words.write_text("the\n")
    lens(str(shared_data / "models" / "stories260k"), tmp_path / "masked", LensRequest(redact=words))
    lens(str(shared_data / "models" / "stories260k"), tmp_path / "ids", LensRequest(ids_only=True))
    masked, ids = facts_of(tmp_path / "masked"), facts_of(tmp_path / "ids")
    assert masked["text_policy"]["redacted"] > 0
    assert not any("the" in (token or "").lower() for entry in masked["directions"] for pole in entry["poles"].values()
                   for token in pole["tokens"])
    assert ids["texts"] == {} and {token for entry in ids["directions"] for token in entry["poles"]["+"]["tokens"]} == {None}
    assert ids["special"] == masked["special"]


def test_a_comparison_end_to_end(tmp_path):
    tuned = HEAD.copy()
    tuned[:120] = np.random.default_rng(0).normal(size=(120, 64)).astype(np.float32) * 0.3
    base = write_model(tmp_path / "base", {"lm_head.weight": HEAD})
    twin = write_model(tmp_path / "twin", {"lm_head.weight": tuned})
    with pytest.raises(RunFailed, match=r"dissolved>0 \(\d+\)"):
        lens(str(base), tmp_path / "out", LensRequest(compare=str(twin), k=5, fail_on="dissolved>0,relative_change>0.9"))
    facts = facts_of(tmp_path / "out")
    assert facts["comparison"]["counts"]["dissolved"] >= 1 and "They differ" in facts["comparison"]["heads"]
    assert [gate["crossed"] for gate in facts["gates"]] == [True, False]
    assert facts["worksheet"][-1]["evidence"][0].startswith("Against the tuned model the head moved by")
    lens(str(base), tmp_path / "same", LensRequest(compare=str(base), k=5, fail_on="dissolved>0,relative_change>0"))
    same = facts_of(tmp_path / "same")["comparison"]
    assert same["unchanged"] and "an untouched head cannot lose a group" in same["heads"]


def test_gates():
    facts = {"glitch": {"counts": {"eligible": 200, "never_trained": 3, "high_projection": 0, "low_projection": 1}},
             "duplicates": [[1, 2]], "zero_rows": []}
    gates = parse_gates("glitch>0.01, duplicates>1,low_projection>1e-3,zero_rows>0", compared=False)
    judged = [(gate["value"], gate["crossed"]) for gate in judge(gates, facts)]
    assert judged == [(0.015, True), (1, False), (0.005, True), (0, False)]
    assert parse_gates("", compared=False) == []


@pytest.mark.parametrize("text, words", [
    ("glitch=1", "NAME>NUMBER"), ("glitch>x", "NAME>NUMBER"), ("glich>1", "did you mean 'glitch'"),
    ("dissolved>0", "needs --compare"), (">1", "NAME>NUMBER")])
def test_bad_gates(text, words):
    with pytest.raises(InputError, match=words):
        parse_gates(text, compared=False)


def bad(value: float, row: int = 17) -> np.ndarray:
    head = HEAD.copy()
    head[row, 3:5] = value
    return head


@pytest.mark.parametrize("head, request_, words", [
    (bad(np.nan), {}, ["lm_head.weight", "2 NaN or infinite values", "row 17"]),
    (bad(np.inf, 599), {}, ["model.safetensors", "row 599"]),
    (np.zeros((80, 8), np.float32), {}, ["lm_head.weight", "zero"]),
    (HEAD[:, 0].copy(), {}, ["lm_head.weight", "[600]"]),
    (HEAD.T.copy(), {}, ["[64, 600]"]),
    (np.ones((80, 8), np.int8), {}, ["int8"]),
    (HEAD, {"m": 601}, ["601 tokens per pole", "600"]),
    (HEAD, {"m": 1}, ["--m"]),
    (HEAD, {"k": 0}, ["k: expected at least 1"]),
    (HEAD, {"key": "nothing"}, ["nothing", "--key"]),
    (HEAD, {"unused_ids": (600,)}, ["--unused-ids", "600"]),
    (HEAD, {"tokenizer": Path("no/such/folder")}, ["no/such/folder", "--tokenizer"]),
    (HEAD, {"drop_padding": True}, ["--drop-padding needs a tokenizer"]),
    (HEAD, {"compare": "no/such/model"}, ["no/such/model"]),
    (HEAD, {"fail_on": "what>1"}, ["--fail-on"])])
def test_bad_input_says_what_and_writes_nothing(tmp_path, monkeypatch, head, request_, words):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model = write_model(tmp_path / "model", {"lm_head.weight": head})
    with pytest.raises(InputError) as caught:
        lens(str(model), tmp_path / "out", LensRequest(**request_))
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_other_refusals(tmp_path, shared_data):
    model = write_model(tmp_path / "model", {"lm_head.weight": HEAD[:300]})
    with pytest.raises(InputError, match=r"512 tokens with those added, but the head has 300 rows"):
        lens(str(model), tmp_path / "out", LensRequest(tokenizer=shared_data / "models" / "stories260k"))
    other = write_model(tmp_path / "other", {"lm_head.weight": HEAD[:, :32].copy()})
    with pytest.raises(InputError, match="64 and 32 wide"):
        lens(str(model), tmp_path / "out", LensRequest(compare=str(other)))
    with pytest.raises(InputError, match="merge the adapter"):
        lens(f"{model}+adapter", tmp_path / "out", LensRequest())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").touch()
    with pytest.raises(InputError, match="nothing is overwritten"):
        lens(str(model), tmp_path / "out", LensRequest())


def test_a_rank_below_k_and_constant_scores_are_said_and_shown(tmp_path):
    head = np.tile(np.eye(8, dtype=np.float32), (10, 1))
    facts = audited(tmp_path, head)
    assert any("numerical rank is 8, so that 8 are shown" in warning for warning in facts["warnings"])
    assert facts["wps"]["norm"]["high"] is None and facts["glitch"]["high_projection"] == []
    assert any("no tokenizer" in warning for warning in facts["warnings"])
    assert any("defined only up to" in warning for warning in facts["warnings"]) is False  # all d are kept: no block is cut
