"""`jaxtrunc steer`: what a run directory holds, what --resume does, and what is refused with exit code 2."""

import json

import numpy as np
import pytest
from small_task import CONFIG

from jaxtrunc.core.trees import flatten
from jaxtrunc.models import load_params, open_model
from jaxtrunc.steer import PRESETS

BASE = {"task": "small", "method": "sift", "sift": {"rank": 0.25, "threshold": None},
        "train": {"max_steps": 3, "epochs": 9, "learning_rate": 0.01}}
MATRICES = 7 * CONFIG.num_layers


def strict(path):
    def refuse(name):
        raise AssertionError(f"{name} in {path}")

    return json.loads(path.read_text(), parse_constant=refuse)


@pytest.fixture
def finished(steer, tmp_path):
    code, said = steer(BASE)
    assert code == 0, said
    return tmp_path / "run"


def test_a_run_holds_what_the_contract_says(finished, lines):
    found, log = strict(finished / "steer.json"), lines(finished)
    assert [line["step"] for line in log] == [1, 2, 3]
    assert {"primary", "constraint", "cos_mean", "fired_share", "align_f", "align_g", "rank_used", "sti_after"} <= log[0].keys()
    assert found["config"]["sift"]["rank"] == 0.25 and found["config"]["train"]["max_steps"] == 3
    assert set(found["metrics"]) == {"before", "after"} and found["metrics"]["before"]["test"]["loss"] > 0
    with np.load(finished / "conflicts.npz") as file:
        assert file["cos"].shape == file["fired"].shape == (3, MATRICES)
        np.testing.assert_array_equal(file["cos"], np.float32([line["cos"] for line in log]))
        assert file["fired"].all() and file["names"].tolist() == found["matrices"]
    page = (finished / "report.html").read_text()
    assert page.count("<svg") == 3 and "Where SIFT fired" in page and "http" not in page.replace("http://www.w3.org", "")


def test_the_model_is_a_hugging_face_directory(finished):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    params = flatten(load_params(open_model(finished / "model").leaves()))
    model = transformers.AutoModelForCausalLM.from_pretrained(finished / "model", dtype=torch.float32)
    down = model.model.layers[1].mlp.down_proj.weight.detach().numpy().T
    np.testing.assert_array_equal(down, params["layers/mlp/down_proj/kernel"][1])
    assert torch.isfinite(model(torch.arange(1, 9)[None]).logits).all()


def test_a_finished_run_is_left_alone(finished, steer):
    before = (finished / "steer.json").stat().st_mtime_ns
    code, said = steer(BASE)
    assert code == 2 and "already holds steer.json" in said
    assert steer(BASE, "--resume")[0] == 0 and (finished / "steer.json").stat().st_mtime_ns == before
    code, said = steer(BASE, "--resume", "method=muon")
    assert code == 2 and "another method" in said


@pytest.mark.slow
def test_a_rival_leaves_cosines_of_gradients(steer, tmp_path):
    code, said = steer(BASE | {"method": "muon", "combine": "pcgrad"})
    assert code == 0, said
    found = strict(tmp_path / "run/steer.json")
    assert found["cosines_of"] == "gradients" and found["fired_share"] is None
    with np.load(tmp_path / "run/conflicts.npz") as file:
        assert file["cos"].shape == (3, MATRICES) and "fired" not in file and np.isfinite(file["cos"]).all()


@pytest.mark.slow
def test_what_is_proposed_can_be_given_back(steer, tmp_path):
    """A matrix proposed by a run with Muon is one that a second run can be confined to."""
    longer = BASE | {"task": {"name": "small", "data": "speech"}, "train": BASE["train"] | {"max_steps": 6}}
    assert steer(longer | {"method": "muon"})[0] == 0
    proposal = strict(tmp_path / "run/steer.json")["proposal"]
    assert proposal is not None
    assert steer(longer | {"sift": {"rank": 0.25, "threshold": None, **proposal}}, out="second")[0] == 0
    with np.load(tmp_path / "second/conflicts.npz") as file:
        named = np.isin(file["names"], proposal["where"])
        expected = np.isin(np.arange(6), proposal["when"]["steps"])[:, None] & named
        np.testing.assert_array_equal(file["fired"], expected)


@pytest.mark.parametrize(("change", "words"), [
    ({"task": "tofuu"}, ["'tofuu'", "tofu"]), ({"methd": "sift"}, ["methd", "method"]), ({"method": "sgd"}, ["method", "sift"]),
    ({"sift": {"rnk": 4}}, ["rnk", "rank"]), ({"sift": {"rank": 0}}, ["rank", "at least 1"]),
    ({"sift": {"rank": 1.5}}, ["rank", "(0, 1]"]), ({"sift": {"where": "nothing"}}, ["where", "matches none"]),
    ({"sift": {"where": {"kernels": "down_proj", "begin": 0}}}, ["begin"]), ({"sift": {"when": {"start": 4, "stop": 4}}}, ["when"]),
    ({"sift": {"polar": "qr"}}, ["polar", "gram"]), ({"combine": "pcgrad"}, ["combine", "sift takes both"]),
    ({"method": "muon", "combine": "pcgrd"}, ["pcgrd", "pcgrad"]), ({"preset": "unlern"}, ["preset", "unlearn"]),
    ({"primary": {"loss": "dpo"}}, ["npo or rmu"]), ({"constraint": {"weight": 0}}, ["weight", "above 0"]),
    ({"train": {"batch_size": 9}}, ["batch_size 9", "8 rows"]), ({"train": {"patience": 3}}, ["patience", "leave it out"]),
    ({"train": {"learning_rat": 3}}, ["learning_rat", "learning_rate"]), ({"task": {"name": "tofu"}}, ["data", "directory"]),
    ({"task": {"name": "unlearning", "rows": 3}}, ["rows", "leave it out"]),
    ({"task": {"name": "tofu", "rows": -1}}, ["rows", "at least 1"]),
    ({"task": {"name": "unlearning", "seed": -1}}, ["seed", "at least 0"]),
    ({"sift": {"where": ["layers/mlp/down_proj/kernel[1]", "layers/mlp/down/kernel"]}}, ["mlp/down/kernel'", "no trained matrix"]),
    ({"sift": {"when": {"steps": [3, 900]}}}, ["when", "none of its steps"]),
    ({"sift": {"when": {"steps": [-1]}}}, ["when", "counted from 0"]),
    ({"sift": {"when": {"start": 3}}}, ["when", "none of its steps"]), ({"sift": {"rcond": 1.5}}, ["rcond"])], ids=str)
def test_what_is_wrong_is_said_in_one_sentence(change, words, steer, tmp_path):
    code, said = steer(BASE | change)
    assert code == 2 and said.startswith("jaxtrunc: error: ") and all(word in said for word in words), said
    assert not (tmp_path / "run").exists()


def test_presets_are_those_of_the_library(steer):
    code, said = steer(BASE | {"preset": "none such"})
    assert code == 2 and all(name in said for name in PRESETS)
