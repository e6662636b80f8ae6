"""A flipped byte in a stored artefact: detected, named, and made again on request (`--resume` of its verb), to the same bytes."""

import shutil

import pytest

from jaxtrunc.demo import ASSETS

TRAIN = ("train.max_steps=4", "train.checkpoint_every=2", "train.batch_size=32", "train.learning_rate=3e-3")


def flip(file, share):
    content = bytearray(file.read_bytes())
    content[int(share * (len(content) - 1))] ^= 16
    file.write_bytes(content)


@pytest.fixture
def copy(study, tmp_path):
    return shutil.copytree(study, tmp_path / "run")


@pytest.mark.parametrize(("name", "share"), [("chunk-000-00000.safetensors", 0.001), ("chunk-000-00000.safetensors", 0.6),
                                             ("matrices-000.jsonl", 0.5), ("decomposition.json", 0.5), ("spectra.json", 0.3)])
def test_a_decomposition(copy, pair, jaxtrunc, refused, name, share):
    file = copy / "decomposition" / name
    sound = {path.name: path.read_bytes() for path in (copy / "decomposition").iterdir()}
    flip(file, share)
    for verb in (("sweep", copy, "--task", pair.task, "--resume"),
                 ("export", copy, "--rank", "2", "--format", "peft", "--out-path", copy.with_name("adapter"))):
        refused(*verb, words=(str(file), "changed", "`jaxtrunc decompose` with --resume"))
    code, said = jaxtrunc("decompose", "--base-model", pair.base, "--model", pair.ft, "--out-path", copy, "--resume")
    assert code == 0 and str(file) in said
    assert (copy / "decomposition" / "spectra.json").read_bytes() == sound["spectra.json"]
    assert jaxtrunc("sweep", copy, "--task", pair.task, "--ranks", "0,1,4,16,96", "--seeds", "0,1", "--resume")[0] == 0


def test_a_matrix_that_is_sound_is_not_made_again(copy, pair, jaxtrunc):
    flip(copy / "decomposition" / "chunk-000-00000.safetensors", 0.6)
    _, said = jaxtrunc("decompose", "--base-model", pair.base, "--model", pair.ft, "--out-path", copy, "--resume")
    assert said.count("it is decomposed again") == 1


def test_results(copy, refused, jaxtrunc, pair):
    flip(copy / "results.json", 0.5)
    refused("report", copy, words=("results.json", "changed", "`jaxtrunc sweep` with --resume"))
    assert jaxtrunc("sweep", copy, "--task", pair.task, "--ranks", "0,1,4,16,96", "--seeds", "0,1", "--resume")[0] == 0
    assert jaxtrunc("report", copy)[0] == 0


def test_a_model(pair, jaxtrunc, tmp_path):
    run = tmp_path / "run"
    command = ("finetune", "--base-model", pair.base, "--task", ASSETS / "task.yaml", "--out-path", run, *TRAIN)
    assert jaxtrunc(*command)[0] == 0
    weights = run / "model" / "model.safetensors"
    sound = weights.read_bytes()
    flip(weights, 0.9)
    code, said = jaxtrunc(*command, "--resume")
    assert code == 0 and str(weights) in said
    assert weights.read_bytes() == sound
