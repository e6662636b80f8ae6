"""Merged classes in the scores, and attributes that some rows do not have, down to the record."""

import jax
import numpy as np
import pytest
from official import MAKERS

from jaxtrunc.data import Prompter, find_task, load_task
from jaxtrunc.evals import Scorer, Statistics, Truth, build_eval_set, make_record
from jaxtrunc.evals.pooling import Pooling
from jaxtrunc.evals.records import worst_groups
from jaxtrunc.models import DecoderConfig, Execution, RopeConfig, abstract_params

CONFIG = DecoderConfig(family="qwen2", vocab_size=400, hidden_size=16, intermediate_size=16, num_layers=1, num_heads=2,
                       num_kv_heads=2, head_dim=8, max_positions=1024, rms_norm_eps=1e-6, rope=RopeConfig(theta=1e4),
                       tie_embeddings=False, qkv_bias=True)  # fmt: skip
PARTS = ((0,), (1, 2))


def softmax(scores):
    shifted = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def test_sum_adds_probabilities_and_argmax_takes_the_best_class():
    scores = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32) * 3
    p = softmax(scores)
    summed = Pooling(PARTS, "sum").apply(scores)
    np.testing.assert_array_equal(summed.argmax(axis=1), np.where(p[:, 0] > p[:, 1] + p[:, 2], 0, 1))
    np.testing.assert_allclose(softmax(summed), np.stack([p[:, 0], p[:, 1] + p[:, 2]], axis=1), atol=1e-6)
    best = Pooling(PARTS, "argmax").apply(scores)
    np.testing.assert_array_equal(best.argmax(axis=1), np.minimum(scores.argmax(axis=1), 1))
    assert (summed.argmax(axis=1) != best.argmax(axis=1)).any() and summed.dtype == np.float32


def test_every_evaluated_split_is_scored_on_merged_classes(tmp_path, tokenizer):
    MAKERS["hans"](tmp_path)
    data = load_task(find_task("hans", tmp_path))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), abstract_params(CONFIG))
    scorer, prompter = Scorer(CONFIG, Execution()), Prompter(data.task, tokenizer)
    for split in ("train", "validation", "test"):
        rows = build_eval_set(data, split, prompter, 16)
        scores = scorer.score(params, rows)
        assert scores.scores.shape == (len(rows), 2) and rows.truth.class_names == ("entailment", "non-entailment")
        assert set(rows.truth.labels) == {0, 1}
        names = ["entailment" if (e.label == 0) else "non-entailment" for e in data.examples[split]]
        assert [rows.truth.class_names[label] for label in rows.truth.labels] == names


def truth_with_gaps():
    """Two attributes; the second is missing in every third row."""
    rng = np.random.default_rng(1)
    labels, first, second = rng.integers(0, 2, 600), rng.integers(0, 2, 600), rng.integers(0, 2, 600)
    second[::3] = -1
    signs = {"first": np.array([-1, 1]), "second": np.array([0, -1])}
    return Truth("test", labels, ("n", "p"), {"first": first, "second": second}, signs, {"first": None, "second": None})


def without_rows(truth, keep):
    attributes = {name: values[keep] for name, values in truth.attributes.items()}
    return Truth(truth.split, truth.labels[keep], truth.class_names, attributes, truth.directions, truth.training_counts)


def record_of(truth, predictions, ft, base):
    scores, mass = np.eye(2, dtype=np.float32)[predictions], np.ones(len(predictions), np.float32)
    statistics = Statistics(truth, draws=200)
    return make_record({"operator": "top_k", "k": 1}, statistics, scores, mass, dtype="float32", ft=ft, base=base,
                       worst=worst_groups(statistics, ft))  # fmt: skip


def test_rows_without_an_attribute_play_no_part_in_its_metrics():
    """The block of the second attribute is that of a split from which those rows were taken out."""
    truth = truth_with_gaps()
    rng = np.random.default_rng(2)
    models = [np.where(rng.random(600) < rate, truth.labels, 1 - truth.labels) for rate in (0.8, 0.9, 0.6)]
    keep = truth.attributes["second"] >= 0
    whole = record_of(truth, *models)
    part = record_of(without_rows(truth, keep), *(model[keep] for model in models))
    assert whole["per_attribute"]["second"] == part["per_attribute"]["second"]
    assert whole["per_attribute"]["first"] != part["per_attribute"]["first"]
    groups = whole["per_attribute"]["second"]["groups"]
    assert sum(group["n"] for group in groups) == keep.sum() == 400
    assert whole["metrics"]["accuracy"] == pytest.approx(np.mean(models[0] == truth.labels)), "overall metrics take every row"


def test_overlapping_groups_do_not_count_missing_rows():
    from jaxtrunc.evals.metrics import wilds_groups

    truth = truth_with_gaps()
    _, sizes = wilds_groups(truth, truth.labels)
    assert list(sizes[2:]) == [((truth.attributes["second"] == 1) & (truth.labels == c)).sum() for c in (0, 1)]


def test_samples_say_null_where_an_attribute_is_missing(tmp_path, tokenizer):
    import gzip
    import json

    from jaxtrunc.evals.samples import write_samples
    from jaxtrunc.evals.scoring import Scores

    MAKERS["hans"](tmp_path)
    data = load_task(find_task("hans", tmp_path))
    rows = build_eval_set(data, "test", Prompter(data.task, tokenizer), 16)
    scores = Scores(np.zeros((len(rows), 2), np.float32), np.ones(len(rows), np.float32))
    facts = write_samples(tmp_path, {"operator": "ft", "split": "test"}, rows, scores)
    with gzip.open(tmp_path / facts["samples"], "rt") as file:
        found = [json.loads(line)["attributes"] for line in file]
    assert found == [example.attributes for example in data.examples["test"]]
