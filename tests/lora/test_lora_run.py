"""`jaxtrunc run` with a LoRA control, from beginning to end: records, samples and results, against PEFT in torch."""

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent.parent / "study"))

from one_layer import write_base

from jaxtrunc.cli import main
from jaxtrunc.demo import ASSETS

pytestmark = pytest.mark.slow
LEVEL = {"operator": "lora", "param": None, "seed": None, "norm_matched": False, "residual": None, "scope": None}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A run of one layer and few steps, whose sweep was done again with another level."""
    folder = tmp_path_factory.mktemp("finished")
    write_base(folder / "base")
    config = {"name": "n", "base_model": "base", "task": str(ASSETS / "task.yaml"),
              "train": {"max_steps": 3, "learning_rate": 2e-3, "batch_size": 8, "keep": "last"},
              "sweep": {"operators": ["top_k", "interpolate"], "ranks": [2], "alphas": [0.5], "limit": 40, "log_samples": True},
              "lora": {"ranks": [3], "learning_rate": 2e-2}}
    (folder / "run.yaml").write_text(yaml.safe_dump(config))
    main(["run", str(folder / "run.yaml"), "--out-path", str(folder / "run"), "-q"])
    return folder


def records(finished):
    lines = [json.loads(line) for line in (finished / "run/records.jsonl").read_text().splitlines()]
    return {(record["operator"], record["k"], record["split"]): record for record in lines}


def test_records_and_results(finished):
    found = records(finished)
    for split in ("validation", "test"):
        record = found["lora", 3, split]
        assert LEVEL.items() <= record.items() and record["roundoff"] is None and record["max_norm_factor"] is None
    assert found["lora", 3, "validation"]["metrics"]["gap"] is None  # no group metrics there
    assert found["lora", 3, "test"]["metrics"]["gap"] is not None and found["lora", 3, "test"]["comparison"]["loss_pp"]
    results = json.loads((finished / "run/results.json").read_text())
    assert results["lora"] == {"learning_rate": 0.02, "given": True, "rank": None, "split": None, "searched": [], "ranks": [3]}
    assert [record["k"] for record in results["records"] if record["operator"] == "lora"] == [3]


def test_its_scores_are_those_of_peft(finished):
    torch, peft = pytest.importorskip("torch"), pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run, folder = finished / "run", finished / "base"
    plain = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").float().eval()
    with gzip.open(run / records(finished)["lora", 3, "test"]["samples"], "rt") as file:
        samples = [json.loads(line) for line in file][:8]
    words = yaml.safe_load((ASSETS / "task.yaml").read_text())["label_words"]
    ids = [AutoTokenizer.from_pretrained(folder)(word, add_special_tokens=False).input_ids[0] for word in words]

    def scores(model):
        with torch.no_grad():
            return np.array([model(torch.tensor([sample["input_ids"]])).logits[0, -1, ids].numpy() for sample in samples])

    before = scores(plain)
    after = scores(peft.PeftModel.from_pretrained(plain, run / "lora/r3").eval())
    np.testing.assert_allclose([sample["scores"] for sample in samples], after, atol=1e-4)
    assert np.abs(after - before).max() > 0.02, "nothing was learned"


def test_sweep_takes_a_new_adapter_in_and_leaves_the_old_records(finished):
    before = records(finished)
    main(["run", str(finished / "run.yaml"), "lora.ranks=[3, 1]", "--out-path", str(finished / "run"), "--resume", "-q"])
    after = records(finished)
    assert {key: after[key] for key in before} == before
    assert set(after) - set(before) == {("lora", 1, "validation"), ("lora", 1, "test")}


def test_sweep_alone_evaluates_the_adapters(finished):
    (finished / "run/records.jsonl").rename(finished / "run/kept")
    try:
        main(["sweep", str(finished / "run"), "--task", str(ASSETS / "task.yaml"), "--operators", "top_k", "--ranks", "2",
              "--limit", "40", "-q"])
        found = records(finished)
        assert {key for key in found if key[0] == "lora"} >= {("lora", 3, "test"), ("lora", 3, "validation")}
    finally:
        (finished / "run/kept").replace(finished / "run/records.jsonl")
