"""What the verbs refuse, in one sentence with exit code 2 and before anything is computed; help that teaches."""

import json

import handmade_run as made
import pytest

from jaxtrunc.cli import main
from jaxtrunc.core.errors import InputError
from jaxtrunc.demo import ASSETS
from jaxtrunc.recipes.sae.settings import SubspaceSettings
from jaxtrunc.recipes.sae.subspace import subspace_on
from jaxtrunc.sae.sites import parse_site
from jaxtrunc.verbs.sae import SAE_VERBS

MODEL = ASSETS / "model"


@pytest.fixture
def refused(capsys):
    def run(*arguments, words):
        with pytest.raises(SystemExit) as stop:
            main(["sae", *map(str, arguments)])
        said = capsys.readouterr().err
        assert stop.value.code == 2, said
        lines = said.splitlines()
        assert lines[-1].startswith("jaxtrunc: error: ") and all(word in lines[-1] for word in words), said

    return run


@pytest.mark.parametrize("verb", SAE_VERBS)
def test_help_teaches(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["sae", verb, "--help"])
    said = capsys.readouterr().out
    assert stop.value.code == 0 and f"jaxtrunc sae {verb}" in said and "Example:" in said


def test_a_verb_is_needed_and_its_name_must_be_right(refused):
    refused(words=("train", "adapt"))
    refused("trian", words=("trian", "train"))


def test_train_refuses(refused, files, tmp_path):
    common = ("train", "--base-model", MODEL, "--out-path", tmp_path / "run")
    refused(*common, "--site", "resid_post.9", "--data", files["text"], words=("resid_post.9", "0 to 3"))
    refused(*common, "--site", "residual.1", "--data", files["text"], words=("residual", "resid_post"))
    refused(*common, "--site", "resid_post.1", "--data", files["eval"], words=("line 1", "'text'"))
    refused(*common, "--site", "resid_post.1", "--data", tmp_path / "none.jsonl", words=("no such file",))
    refused(*common, "--site", "resid_post.1", "--data", files["text"], "--k", "9", "--width", "8", words=("k must be at most n",))
    refused(*common, "--site", "resid_post.1", "--data", files["text"], "sae.stepps=3", words=("stepps", "steps"))
    assert not (tmp_path / "run").exists()


def test_features_and_subspace_refuse(refused, files, tmp_path):
    common = ("--base-model", MODEL, "--out-path", tmp_path / "run")
    refused("features", *common, "--site", "attn_z.1", "--pairs", files["pairs"], words=("attn_z.1",))
    refused("features", *common, "--site", "resid_post.1", "--pairs", files["pairs"], words=("no autoencoder", "sae train"))
    refused("features", *common, "--site", "resid_post.1", "--pairs", files["train"], words=("line 1", "rating"))
    refused("features", *common, "--site", "resid_post.1", "--pairs", files["pairs"], "mesh.fdsp=2", words=("fdsp", "fsdp"))
    refused("subspace", *common, "--site", "resid_post.1", words=("no features", "sae features"))
    refused("subspace", *common, "--site", "attn_z.1", words=("attn_z.1",))


def test_adapt_refuses(refused, files, tmp_path):
    common = ("adapt", "--base-model", MODEL, "--data", files["train"], "--out-path", tmp_path / "run")
    refused(*common, words=("no subspaces",))
    refused(*common, "--sites", "resid_post.1", words=("no subspace", "sae subspace"))
    lora = (*common, "--init", "lora", "--sites", "resid_post.1")
    refused(*lora, "--freeze-b", words=("lora", "freeze"))
    refused(*lora, "--constraint", "hidden", words=("--lambda",))
    refused(*lora, "--targets", "q,x", words=("targets", "x"))
    refused(*lora, "--eval", files["pairs"], words=("line 1", "'expected'"))
    refused(*lora, "answers.judge=no.such:thing", words=("judge", "no.such:thing"))


def test_a_subspace_of_another_model_is_refused(refused, files, tmp_path):
    run, site = made.made_run(tmp_path / "run"), parse_site(made.SITE)
    settings = SubspaceSettings(rank=4, weighting="delta")
    with pytest.raises(InputError, match="models/own, not of models/other"):
        subspace_on("models/other", site, run, settings, resume=False)
    subspace_on(f"./{made.BASE_MODEL}", site, run, settings, resume=False)  # the same, written otherwise
    common = ("--base-model", MODEL, "--out-path", run.path)
    refused("adapt", *common, "--data", files["train"], words=("models/own", str(MODEL)))
    refused("steer", *common, "--site", made.SITE, "--eval", files["eval"], words=("models/own", str(MODEL)))


def test_report_refuses(refused, tmp_path):
    refused("report", tmp_path, words=("no manifest.json",))
    (tmp_path / "manifest.json").write_text(json.dumps({"schema_version": 1, "verbs": {}, "files": {}}))
    refused("report", tmp_path, words=("holds no autoencoder",))


def test_the_run_of_a_study_is_refused_before_anything_is_computed(refused, files, tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"schema_version": 1, "verbs": {}, "files": {}}))
    (tmp_path / "records.jsonl").write_text("{}\n")
    common, site = ("--base-model", MODEL, "--out-path", tmp_path), ("--site", "resid_post.1")
    for verb in (("train", *site, "--data", files["text"]), ("features", *site, "--pairs", files["pairs"]), ("subspace", *site),
                 ("adapt", "--data", files["train"], "--init", "lora"), ("steer", *site, "--eval", files["eval"])):
        refused(verb[0], *common, *verb[1:], words=("records.jsonl", "study"))
    assert not (tmp_path / "training").exists()


def test_a_config_is_checked_to_the_last_adapter_before_anything_is_made(refused, files, tmp_path):
    config = {"name": "own", "base_model": str(MODEL), "sites": ["resid_post.1"],
              "data": {"text": [str(files["text"])], "pairs": str(files["pairs"]), "train": str(files["train"]),
                       "questions": str(files["eval"])}}

    def given(**more):
        (tmp_path / "own.yaml").write_text(json.dumps(config | more))
        return tmp_path / "own.yaml", "--out-path", tmp_path / "run"

    refused("run", *given(sites=["attn_z.1"]), words=("attn_z.1",))
    refused("run", *given(adapters=[{"init": "lora", "adapt": {"freeze_b": True}}]), words=("lora", "freeze_b"))
    refused("run", *given(adapters=[{"init": "lora"}, {"init": "lora"}]), words=("two of them", "lora-s0"))
    refused("run", *given(autoencoders={"resid_post.2": "x"}), words=("autoencoders", "resid_post.2"))
    refused("run", *given(train={"learning_rat": 1}), words=("learning_rat", "learning_rate"))
    refused("run", *given(data={"text": []}), words=("pairs",))
    refused("run", *given(features={"budget": 4, "fraction": 0.1}), words=("budget", "fraction", "one"))
    refused("run", *given(features={"fraction": 2}), words=("fraction", "at most 1"))
    refused("run", *given(features={"explainer": "os:nothing"}), words=("features.explainer", "os:nothing"))
    refused("run", *given(features={"budget": 8}), words=("rank 16", "8 features"))
    refused("run", *given(subspace={"rank": 0}), words=("rank", "at least 1"))
    refused("run", *given(subspace={"tau": 1.5}), words=("tau", "at most 1"))
    refused("run", *given(gammas=[1, -1]), words=("gammas", "at least 0"))
    refused("run", *given(adapt={"targets": ["down", "q"]}), words=("'q' writes to none of the sites",))
    refused("run", *given(adapt={"postnorm": "divide"}), words=("postnorm divide", "no norm"))
    refused("run", *given(autoencoders={"resid_post.1": str(tmp_path / "none")}), words=("no autoencoder there",))
    assert not (tmp_path / "run" / "sae").exists()
