"""Sparsification and noise on the command line: swept with seeds, carried on, exported as what was evaluated, no adapter."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from jaxtrunc.spectral import Level, Reconstructor, load

SWEEP = ("--operators", "top_k,sparsify,noise", "--ranks", "4,96", "--fractions", "0.5", "--seeds", "0,1", "--limit", "40")


@pytest.fixture(scope="module")
def run(pair, tmp_path_factory):
    from jaxtrunc.cli import main

    run = tmp_path_factory.mktemp("perturbed") / "run"
    main(["decompose", "--base-model", str(pair.base), "--model", str(pair.ft), "--out-path", str(run), "-q"])
    main(["sweep", str(run), "--task", str(pair.task), *SWEEP, "-q"])
    return run


def records_of(run) -> dict[tuple, dict]:
    records = json.loads((run / "results.json").read_text())["records"]
    return {tuple(record[name] for name in ("operator", "k", "param", "seed")): record for record in records}


def test_every_share_and_rank_has_its_record_and_full_rank_is_the_fine_tuned_model(run):
    records = records_of(run)
    assert {key for key in records if key[0] == "sparsify"} == {("sparsify", None, 0.5, seed) for seed in (0, 1)}
    assert {key[1:3] for key in records if key[0] == "noise"} == {(4, None), (96, None), (None, 0.5)}
    for seed in (0, 1):
        assert records["noise", 96, None, seed]["metrics"] == records["ft", None, None, None]["metrics"]
        assert records["noise", 4, None, seed]["roundoff"] == {"ratio": {"median": 0, "max": 0}, "delta": {"median": 0, "max": 0}}
    assert (run / "plots" / "gap_vs_share.csv").exists()


@pytest.mark.slow
def test_resume_gives_the_same_records(run, pair, jaxtrunc):
    before, lines = records_of(run), (run / "records.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if '"noise"' not in line and '"seed":1' not in line.replace(" ", "")]
    assert 4 < len(kept) < len(lines) - 4
    (run / "records.jsonl").write_text("".join(kept))
    (run / "results.json").unlink()
    code, said = jaxtrunc("sweep", run, "--task", pair.task, *SWEEP, "--resume")
    assert code == 0, said
    assert records_of(run) == before


def test_an_export_holds_the_weights_that_were_evaluated(run, pair, jaxtrunc, tmp_path):
    code, said = jaxtrunc("export", run, "--operator", "noise", "--rank", 4, "--seed", 1, "--format", "hf",
                          "--dtype", "float32", "--out-path", tmp_path / "noisy")
    assert code == 0, said
    base, ft, found = (load_file(folder / "model.safetensors") for folder in (pair.base, pair.ft, tmp_path / "noisy"))
    decomposition, different = load(run / "decomposition"), 0
    for name, svd in decomposition.matrices.items():
        trees = ({svd.ref.path: Stack(side[name], svd.ref.index)} for side in (base, ft))
        rebuild = Reconstructor(decomposition, *trees, only=lambda ref, name=name: ref.name == name)
        np.testing.assert_array_equal(found[name].T, rebuild.weights(Level("noise", k=4, seed=1)).matrices[name])
        different += not np.array_equal(found[name], ft[name])
    assert different == len(decomposition.matrices)


class Stack:
    """A leaf of which one layer is known."""

    def __init__(self, stored: np.ndarray, index: int):
        self._matrix, self._index = np.ascontiguousarray(stored.T), index

    def __getitem__(self, index: int) -> np.ndarray:
        assert index == self._index
        return self._matrix


def test_it_makes_no_adapter(run, refused, tmp_path):
    refused("export", run, "--operator", "noise", "--rank", 4, "--seed", 1, "--format", "peft", "--out-path", tmp_path / "a",
            words=("operator noise", "full rank", "--format hf"))
    refused("export", run, "--operator", "sparsify", "--rank", 4, "--seed", 1, "--format", "peft", "--out-path", tmp_path / "a",
            words=("--operator sparsify", "no rank", "noise"))
    assert not (tmp_path / "a").exists()
