"""What fine-tuning did to a head, where it is known what it did."""

import numpy as np
import pytest
from planted import EACH, planted_clusters

from jaxtrunc.core.errors import InputError
from jaxtrunc.lens import LensSettings, Vocabulary, compare_heads
from jaxtrunc.lens.rows import Difference, take

FIVE = LensSettings(k=5)


def named(count: int, order: np.ndarray | None = None) -> Vocabulary:
    pieces = [f"piece {token}" for token in (np.arange(count) if order is None else order)]
    return Vocabulary(np.full(count, "ok"), pieces, pieces, count)


def angles(found: dict, side: str) -> np.ndarray:
    return found["angles"][side][-1]["angles"]


def test_the_same_head_is_unchanged():
    head, _ = planted_clusters()
    found = compare_heads(head.astype(np.float32), head.astype(np.float32))
    assert found["unchanged"] and found["relative_change"] == 0 and found["movers"] == [] and found["delta"] is None
    assert max(entry["max"] for side in ("right", "left") for entry in found["angles"][side]) <= 1e-6
    assert {entry["label"] for entry in found["persistence"]} == {"retained"} and len(found["persistence"]) == 60
    assert found["counts"] == {"retained": 60, "drifted": 0, "dissolved": 0, "new": 0}
    assert all(entry["cosine"] > 1 - 1e-9 and entry["jaccard"] == {"+": 1, "-": 1} for entry in found["matching"])


def test_a_small_rotation_is_recovered():
    head, _ = planted_clusters()
    u, sigma, vt = np.linalg.svd(head, full_matrices=False)
    theta = 1e-4
    turned = head + sigma[4] * np.outer(u[:, 4], (np.cos(theta) - 1) * vt[4] + np.sin(theta) * vt[20])
    found = compare_heads(head, turned, settings=FIVE)
    assert [entry["k"] for entry in found["angles"]["right"]] == [1, 5]
    assert angles(found, "right")[-1] == pytest.approx(theta, rel=0.01)
    assert angles(found, "right")[:4].max() < 1e-6
    assert found["counts"]["retained"] == 10 and not found["unchanged"]
    entry = found["angles"]["right"][-1]
    assert entry["chordal"] == pytest.approx(theta, rel=0.01) and entry["random_mean"] == pytest.approx(np.arccos((5 / 64) ** 0.5))


def test_a_group_that_became_noise_is_dissolved_and_the_others_are_retained():
    head, group = planted_clusters()
    rng = np.random.default_rng(5)
    for gone in range(5):
        tuned = head.copy()
        noise = rng.normal(size=(EACH, head.shape[1]))
        tuned[group == gone] = noise / np.linalg.norm(noise, axis=1, keepdims=True) * np.linalg.norm(
            head[group == gone], axis=1, keepdims=True)
        found = compare_heads(head, tuned, settings=FIVE)
        for entry in found["persistence"]:
            if entry["pole"] == "-":
                continue
            if np.bincount(group[entry["ids"]]).argmax() == gone:
                assert entry["label"] == "dissolved" and entry["recovery"] <= 0.5 and abs(entry["cohesion_tuned"]) < 0.1
            else:
                assert entry["label"] == "retained" and entry["recovery"] >= 0.5 and entry["cohesion_tuned"] > 0.9
        assert {entry["id"] for entry in found["movers"]} <= set(np.flatnonzero(group == gone).tolist())
        assert found["delta"]["directions"][0]["poles"]["+"]["ids"].size == 20


def test_permuted_tokens_are_aligned_by_their_pieces():
    head, _ = planted_clusters()
    order = np.random.default_rng(3).permutation(len(head))
    found = compare_heads(head, head[order], named(len(head)), named(len(head), order), FIVE)
    assert found["alignment"]["by"] == "token" and found["alignment"]["rows"] == len(head)
    assert found["relative_change"] == 0 and found["counts"]["retained"] == 10 and found["delta"] is None
    assert max(angles(found, "right").max(), angles(found, "left").max()) < 1e-6
    assert all(entry["jaccard"] == {"+": 1, "-": 1} for entry in found["matching"])
    wrong = compare_heads(head, head[order], settings=FIVE)
    assert wrong["relative_change"] > 0.5 and wrong["counts"]["retained"] < 5


def test_tokens_of_one_side_alone_are_listed_and_left_out():
    head, _ = planted_clusters()
    tuned = np.concatenate([head[10:], np.random.default_rng(0).normal(size=(4, head.shape[1]))])
    theirs = named(len(tuned), np.r_[np.arange(10, 600), np.arange(1000, 1004)])
    found = compare_heads(head, tuned, named(600), theirs, FIVE)
    assert found["alignment"]["rows"] == 590 and found["alignment"]["only_base"]["ids"].tolist() == list(range(10))
    assert found["alignment"]["only_tuned"] == {"count": 4, "ids": pytest.approx([590, 591, 592, 593])}
    assert found["relative_change"] == 0


def test_how_far_each_token_moved():
    head, _ = planted_clusters()
    tuned = head.copy()
    tuned[[3, 77]] *= [[2], [-1]]
    found = compare_heads(head, tuned, settings=FIVE)
    assert [entry["id"] for entry in found["movers"]] == [77, 3]
    assert [entry["cos"] for entry in found["movers"]] == pytest.approx([-1, 1])
    assert found["movers"][1]["change"] == pytest.approx(np.linalg.norm(head[3]))
    assert found["relative_change"] == pytest.approx(np.linalg.norm(tuned - head) / np.linalg.norm(head))


def test_poles_are_compared_with_those_that_point_the_same_way():
    """The negative head has the same groups, but each wins for the opposite hidden state."""
    head, _ = planted_clusters()
    found = compare_heads(head, -head, settings=FIVE)
    assert all(entry["flipped"] and entry["cosine"] > 1 - 1e-9 for entry in found["matching"])
    assert all(entry["jaccard"] == {"+": 0, "-": 0} for entry in found["matching"])
    assert found["counts"]["retained"] == 10 and all(entry["median_rank"] > 500 for entry in found["persistence"])


def test_a_new_group_is_named():
    head, _ = planted_clusters()
    rng = np.random.default_rng(1)
    axis = np.linalg.svd(head)[2][40]
    tuned = head.copy()
    tuned[::15] = 3 * axis + 0.04 * rng.normal(size=(40, head.shape[1]))
    found = compare_heads(head, tuned, settings=LensSettings(k=6))
    assert any(set(entry["ids"].tolist()) <= set(range(0, 600, 15)) for entry in found["new"])


def test_what_cannot_be_compared():
    head, _ = planted_clusters()
    with pytest.raises(InputError, match="64 and 32 wide"):
        compare_heads(head, head[:, :32])
    with pytest.raises(InputError, match="600 and 590 rows"):
        compare_heads(head, head[:590])
    with pytest.raises(InputError, match="no token in common"):
        compare_heads(head, head, named(600), named(600, np.arange(1000, 1600)))


def test_rows_are_taken_in_any_order():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(9000, 3)).astype(np.float32)
    ids = rng.integers(9000, size=500)
    np.testing.assert_array_equal(take(matrix, ids), matrix[ids])
    np.testing.assert_array_equal(take(matrix, np.array([], int)), np.empty((0, 3)))
    gone = Difference(matrix, matrix * 2, ids, ids)
    np.testing.assert_array_equal(gone[10:20], matrix[ids[10:20]])
