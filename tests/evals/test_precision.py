"""Agreement of two dtypes, counted by hand, and the verdict that is withheld without it."""

import dataclasses

import pytest
from test_verdict import GOOD

from jaxtrunc.evals.precision import precision_evidence
from jaxtrunc.evals.verdict import judge

LEVELS = {"FT": {"operator": "ft"}, "k* = 2": {"operator": "top_k", "k": 2}}


def record(operator, dtype, predictions, k=None, split="test"):
    return {"operator": operator, "k": k, "dtype": dtype, "split": split, "predictions": predictions}


def found(rounded, k_rounded="0" * 200):
    exact = "0" * 200
    records = [
        record("ft", "float32", exact), record("ft", "bfloat16", rounded), record("top_k", "float32", exact, 2),
        record("top_k", "bfloat16", k_rounded, 2), record("top_k", "bfloat16", "1" * 200, 4),
        record("ft", "float32", exact, split="validation"), record("ft", "bfloat16", exact, split="validation")]
    return precision_evidence(records, "bfloat16", LEVELS)


def test_one_row_in_two_hundred_may_differ():
    got = found("1" + "0" * 199)
    assert got["agreement"] == {"FT": {"test": 0.995, "validation": 1.0}, "k* = 2": {"test": 1.0}}
    assert got["holds"] and got["least"] == 0.995 and got["reason"] is None
    assert judge(dataclasses.replace(GOOD, precision=got)) == judge(GOOD) and judge(GOOD)[0] == "supported"


@pytest.mark.parametrize(("name", "given"), [("FT", {"rounded": "11" + "0" * 198}),
                                             ("k* = 2", {"rounded": "0" * 200, "k_rounded": "0" * 198 + "11"})])
def test_two_are_too_many_and_no_verdict_is_given(name, given):
    got = found(**given)
    assert not got["holds"] and got["least"] == 0.99
    label, reasons = judge(dataclasses.replace(GOOD, precision=got))
    assert label == "not tested" and len(reasons) == 1
    assert "99.00 %" in reasons[0] and f"the test rows at {name}" in reasons[0] and "99.5 %" in reasons[0]
