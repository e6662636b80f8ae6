"""The choice of k on synthetic validation records."""

import pytest
from toy_splits import make_truth, predict, record

from jaxtrunc.evals import Statistics, oracle_k, select_k

TRUTH = make_truth(500, split="validation").without_groups()
STATISTICS = Statistics(TRUTH)
WITH_GROUPS = make_truth(500, split="validation")


def records_of(accuracy: dict[int, float], base=0.5, ft=0.9):
    ends = [record(STATISTICS, name, predict(WITH_GROUPS, [rate] * 4)) for name, rate in (("ft", ft), ("base", base))]
    return ends + [record(STATISTICS, "top_k", predict(WITH_GROUPS, [rate] * 4), k=k) for k, rate in accuracy.items()]


@pytest.mark.parametrize(("accuracy", "k", "point_k"), [
    ({0: 0.5, 1: 0.6, 2: 0.7, 4: 0.882, 8: 0.896, 16: 0.9, 64: 0.9}, 8, 4),   # 1.8 points: nominal, not safe
    ({0: 0.5, 1: 0.9, 2: 0.7, 4: 0.9, 8: 0.9, 64: 0.9}, 4, 1),                # k = 1 is good, k = 2 is not
    ({0: 0.5, 1: 0.878, 2: 0.88, 4: 0.89, 8: 0.9, 64: 0.9}, 4, 2),            # 2.0 points are FT − 2 points, and not more
    ({0: 0.5, 1: 0.6, 2: 0.7, 64: 0.9}, 64, 64),                             # nothing below full will do
    ({1: 0.6, 8: 0.7}, 64, 64),                                              # … and full was not swept
])
def test_rules(accuracy, k, point_k):
    got = select_k(STATISTICS, records_of(accuracy), full_rank=64)
    assert (got["k"], got["point_k"], got["rule"], got["split"]) == (k, point_k, "noninferior", "validation")


def test_k_is_zero_where_fine_tuning_gained_nothing():
    assert select_k(STATISTICS, records_of({0: 0.9, 1: 0.9, 8: 0.9}, base=0.9), 64)["k"] == 0
    assert select_k(STATISTICS, records_of({1: 0.9, 8: 0.9}, base=0.9), 64)["k"] == 0, "base stands for k = 0"


def test_full_is_no_truncation_even_if_its_k_is_larger():
    got = select_k(STATISTICS, records_of({0: 0.5, 16: 0.7, 32: 0.9, 64: 0.9}), full_rank=30)
    assert got["k"] == 32, "k = 32 keeps every component of rank 30"


def test_records_keep_neither_groups_nor_predictions():
    got = select_k(STATISTICS, records_of({0: 0.5, 8: 0.9}), 64)
    assert len(got["records"]) == 4
    assert all("predictions" not in r and r["metrics"]["gap"] is None and not r["groups"] for r in got["records"])


def test_group_labels_are_refused():
    with pytest.raises(AssertionError, match="group labels"):
        select_k(Statistics(WITH_GROUPS), records_of({8: 0.9}), 64)


def test_nothing_to_choose_from():
    assert select_k(STATISTICS, records_of({}), 64) is None


def test_controls_are_not_candidates():
    made = records_of({0: 0.5, 8: 0.9, 64: 0.9})
    made += [record(STATISTICS, "bottom_k", predict(WITH_GROUPS, [0.9] * 4), k=1)]
    made += [record(STATISTICS, "top_k", predict(WITH_GROUPS, [0.9] * 4), k=2, norm_matched=True)]
    assert select_k(STATISTICS, made, 64)["k"] == 8


def test_a_wider_tolerance_takes_a_smaller_k():
    made = records_of({0: 0.5, 1: 0.84, 4: 0.87, 8: 0.9, 64: 0.9})
    assert [select_k(STATISTICS, made, 64, tolerance)["k"] for tolerance in (2.0, 5.0, 10.0)] == [8, 4, 1]
    assert select_k(STATISTICS, made, 64, 5.0)["point_k"] == 4 and select_k(STATISTICS, made, 64, 5.0)["tolerance_pp"] == 5.0


def test_rules_without_data_are_reported_beside():
    made = records_of({0: 0.5, 8: 0.9, 64: 0.9})
    made += [record(STATISTICS, "mp_edge", predict(WITH_GROUPS, [0.8] * 4)),
             record(STATISTICS, "energy", predict(WITH_GROUPS, [0.9] * 4), param=0.9)]
    got = select_k(STATISTICS, made, 64)
    assert got["k"] == 8 and [(r["rule"], r["param"]) for r in got["data_free"]] == [("mp_edge", None), ("energy", 0.9)]
    assert [r["loss_pp"] for r in got["data_free"]] == pytest.approx([10, 0]) and got["data_free"][0]["upper95"] > 10
    assert select_k(STATISTICS, records_of({8: 0.9}), 64)["data_free"] == []


def test_the_oracle_looks_at_the_gap():
    level = lambda k, gap, loss: {"operator": "top_k", "k": k, "norm_matched": False, "metrics": {"gap": gap},  # noqa: E731
                                  "comparison": {"loss_pp": {"value": loss}}}
    assert oracle_k([level(0, 0.0, 40), level(2, -0.01, 5), level(4, -0.05, 1), level(8, 0.2, 0)]) == 4
    assert oracle_k([level(2, 0.1, 5)]) is None
