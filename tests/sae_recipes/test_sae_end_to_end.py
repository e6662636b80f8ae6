"""All verbs on the embedded model: from text to a report, PEFT's logits, a merged model, resumption, and a study of the update."""

import gzip
import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from jaxtrunc.cli import main
from jaxtrunc.core.errors import Interrupted
from jaxtrunc.demo import ASSETS

pytestmark = pytest.mark.slow
MODEL, SITE = ASSETS / "model", "resid_post.1"
METRICS = {"refusal_rate", "over_refusal_rate", "incoherent_rate", "refusal_logprob_margin"}
CONFIG = {
    "name": "own", "base_model": str(MODEL), "sites": [SITE], "sae": {"n": 64, "k": 8, "steps": 40, "batch": 32, "warmup": 4},
    "text": {"context": 32}, "features": {"budget": 16, "draws": 20, "max_tokens": 48}, "subspace": {"rank": 4},
    "train": {"max_steps": 6, "epochs": 3, "batch_size": 8, "learning_rate": 1e-2, "max_tokens": 48, "max_widths": 1},
    "answers": {"new_tokens": 6, "batch_size": 8}, "seeds": [0], "gammas": [1, 2], "merge": True,
    "adapters": [{"init": "subspace"}, {"init": "subspace", "adapt": {"a_init": "compensated"}}, {"init": "cov_diff"},
                 {"init": "lora"}],
}


@pytest.fixture
def config(files, tmp_path):
    data = {"text": [str(files["text"])], "questions": str(files["eval"])} | {key: str(files[key]) for key in ("pairs", "train")}
    (tmp_path / "own.yaml").write_text(json.dumps(CONFIG | {"data": data}))
    return tmp_path / "own.yaml"


def run(*arguments):
    main(["sae", *map(str, arguments), "-q"])


def test_a_config_from_beginning_to_end(config, tmp_path):
    out = tmp_path / "run"
    run("run", config, "--out-path", out)
    results = json.loads((out / "results.json").read_text())
    assert set(results["adapters"]) == {"subspace-s0", "subspace-compensated-s0", "cov_diff-s0", "lora-s0"}
    for name, facts in results["adapters"].items():
        assert METRICS == set(facts["metrics"]) == set(facts["intervals"])
        assert facts["parameters"]["trainable"] == 2 * 4 * 96, name
        assert len(gzip.decompress((out / f"samples/{name}.jsonl.gz").read_bytes()).splitlines()) == 6
    site = results["subspaces"][SITE]
    assert site["rank"] == 4 and 0 < site["e_shuffled"] <= np.sqrt(8) + 1e-6
    assert {row["gamma"] for row in results["steering"][SITE]["strengths"]} == {1, 2}
    assert "script" not in (out / "report.html").read_text().lower().replace("transcript", "").replace("description", "")
    _logits_are_those_of_peft_and_of_the_merged_model(out, "subspace-compensated-s0")
    _what_is_finished_stays(config, out)
    _the_update_goes_into_a_study(out, tmp_path)


def _logits_are_those_of_peft_and_of_the_merged_model(out, name):
    torch, peft = pytest.importorskip("torch"), pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    def model(path):
        return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()

    tokens = torch.tensor([[5, 300, 301, 17, 44]])
    with torch.no_grad():
        adapted = peft.PeftModel.from_pretrained(model(MODEL), out / f"adapters/{name}")(tokens).logits
        merged, base = (model(path)(tokens).logits for path in (out / f"adapters/{name}/model", MODEL))
    torch.testing.assert_close(adapted, merged, atol=1e-4, rtol=1e-4)
    assert (adapted - base).abs().max() > 1e-4
    factors = load_file(out / f"adapters/{name}/adapter_model.safetensors")
    assert {array.shape[0] for key, array in factors.items() if "lora_A" in key} == {8}
    first = np.load(out / f"adapters/{name}/init.npz")
    subspace = np.load(out / f"subspace/{SITE}.npz")["u"]
    [b] = [first[key] for key in first.files if key.endswith(".B")]
    np.testing.assert_allclose(b, 0.1 * subspace, atol=1e-6)


def _what_is_finished_stays(config, out):
    times = {path: path.stat().st_mtime_ns for path in out.glob("adapters/*/*")}
    run("run", config, "--out-path", out, "--resume")
    assert times == {path: path.stat().st_mtime_ns for path in out.glob("adapters/*/*")}
    with pytest.raises(SystemExit) as stop:
        run("run", config, "--out-path", out)
    assert stop.value.code == 2


def _the_update_goes_into_a_study(out, tmp_path):
    main(["decompose", "--base-model", str(MODEL), "--model", str(out / "adapters/subspace-s0/model"), "--out-path",
          str(tmp_path / "cut"), "-q"])
    names = json.loads((tmp_path / "cut/manifest.json").read_text())["files"]
    assert any(name.startswith("decomposition/") for name in names)


def test_an_interrupted_adapter_goes_on_to_the_same_factors(config, tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run("run", config, "--out-path", whole, "adapters=[{init: subspace}]", "gammas=[]")
    from jaxtrunc.recipes.sae import adapt

    def stopped(*_, **__):
        raise Interrupted("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(adapt, "export", stopped)
        with pytest.raises(SystemExit) as stop:
            run("run", config, "--out-path", parts, "adapters=[{init: subspace}]", "gammas=[]")
        assert stop.value.code == 3 and not (parts / "adapters").exists()
    run("run", config, "--out-path", parts, "adapters=[{init: subspace}]", "gammas=[]", "--resume")
    first, second = (load_file(path / "adapters/subspace-s0/adapter_model.safetensors") for path in (whole, parts))
    for key, array in first.items():
        np.testing.assert_array_equal(array, second[key])
