"""VCS: its closed form, its null, and what both say of planted groups and of noise."""

import itertools

import numpy as np
import pytest
from planted import planted_clusters

from jaxtrunc.lens import LensSettings, audit, vcs, vocab_svd
from jaxtrunc.lens.directions import pole_ids
from jaxtrunc.lens.scripts import script_mix
from jaxtrunc.lens.vcs import null_vcs

RNG = np.random.default_rng(0)


def test_identical_and_orthonormal_rows():
    assert vcs(np.tile(RNG.normal(size=12), (20, 1))) == pytest.approx(1, abs=1e-12)
    assert vcs(np.linalg.qr(RNG.normal(size=(40, 20)))[0].T) == pytest.approx(0, abs=1e-12)
    assert vcs(np.array([[1.0, 0], [-1, 0]])) == pytest.approx(-1)


def test_the_closed_form_is_the_loop_over_pairs():
    rows = RNG.normal(size=(20, 12))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    loop = np.mean([a @ b for a, b in itertools.combinations(unit, 2)])
    assert vcs(rows) == pytest.approx(loop, abs=1e-12)
    assert vcs(rows * RNG.uniform(0.01, 100, (20, 1))) == pytest.approx(loop, abs=1e-12)


def test_the_null_is_that_of_its_definition():
    """Drawn one pole at a time, one row at a time."""
    pool, own, index = RNG.normal(size=(300, 10)) * np.arange(10, 0, -1), RNG.normal(size=(3, 6)) + 8, np.array([0, 0, 4])
    mean, sd = null_vcs(pool, own, index, 400, seed=1)
    for pole in range(3):
        drawn = []
        for _ in range(400):
            rows = np.stack([RNG.choice(pool[:, j], 6) for j in range(10)], axis=1)
            rows[:, index[pole]] = own[pole]
            drawn.append(vcs(rows))
        assert mean[pole] == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / 20)
        assert sd[pole] == pytest.approx(np.std(drawn), rel=0.25)


def test_planted_groups_are_found_as_groups():
    head, group = planted_clusters()
    found = audit(head.astype(np.float32), settings=LensSettings(k=5))
    seen = []
    for entry in found.directions:
        pole = entry["poles"]["+"]
        counts = np.bincount(group[pole["ids"]], minlength=5)
        assert counts.max() >= 19 and pole["vcs_z"] > 4, (entry["index"], counts, pole["vcs_z"])
        assert pole["vcs_centred"] > 0.9 and pole["n_duplicates"] == 0
        seen.append(int(counts.argmax()))
    assert seen == [0, 1, 2, 3, 4]  # by falling norm


def test_poles_are_the_extreme_entries():
    head, _ = planted_clusters()
    found = audit(head, settings=LensSettings(k=5))
    for i, entry in enumerate(found.directions):
        u = found.svd.u[:, i]
        for sign, pole in zip((1, -1), entry["poles"].values(), strict=True):
            assert np.array_equal(pole["ids"], np.lexsort((np.arange(600), -sign * u))[:20])
            np.testing.assert_allclose(pole["projections"], found.svd.sigma[i] * u[pole["ids"]])
            np.testing.assert_allclose(pole["projections"], head[pole["ids"]] @ found.svd.v[:, i], atol=1e-9)
            unit = head[pole["ids"]] / np.linalg.norm(head[pole["ids"]], axis=1, keepdims=True)
            assert pole["vcs"] == pytest.approx(((unit @ unit.T).sum() - 20) / 380, abs=1e-9)


def test_ties_go_to_the_lower_id():
    u = np.array([[0.5], [-0.5], [0.5], [0.1], [0.5], [-0.5]])
    assert pole_ids(u, np.array([True, True, True, True, True, True]), 2).tolist() == [[[0, 2], [1, 5]]]
    assert pole_ids(u, np.array([False, True, True, True, True, True]), 2).tolist() == [[[2, 4], [1, 5]]]


def test_noise_is_no_group():
    z = []
    for seed in range(10):
        found = audit(np.random.default_rng(seed).normal(size=(600, 64)).astype(np.float32), settings=LensSettings(k=10))
        z += [pole["vcs_z"] for entry in found.directions for pole in entry["poles"].values()]
    assert np.mean(np.abs(z)) < 2 and max(z) < 4, (np.mean(np.abs(z)), max(z))


def test_duplicates_in_a_pole_are_counted():
    head, _ = planted_clusters()
    svd = vocab_svd(head, k=1)
    top = np.argsort(-svd.u[:, 0])[:4]
    head[top] = head[top[0]]
    assert audit(head, settings=LensSettings(k=1)).directions[0]["poles"]["+"]["n_duplicates"] == 3


def test_the_mix_of_scripts():
    assert script_mix(["␠the", "of", "Москва", "東京", "␠42"]) == ({"Latin": 2, "Common": 1, "Cyrillic": 1, "Han": 1},
                                                                 pytest.approx(1.332, abs=1e-3))
    assert script_mix(["<0xE6><0x9D>", "\\n\\u200b"])[0] == {"Common": 2}
    assert script_mix(["a", "b"])[1] == 0
    assert script_mix(["a", None]) == (None, None)
