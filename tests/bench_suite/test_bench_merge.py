"""benchmarks/merge.py with tiny shapes: both programs merge the same, and what is missing is said."""

import merge
import pytest
from suite import markdown
from suite.peers import find


@pytest.mark.slow
def test_both_programs_merge_the_same(monkeypatch):
    monkeypatch.setattr(merge, "METHODS", {name: merge.METHODS[name] for name in ("ties", "tsv_merge")})
    report = merge.measure(True)
    ties, tsv = report.comparisons
    ours, *theirs = (float(row.facts[merge.SUM]) for row in ties.rows if row.cpu)
    assert theirs == pytest.approx([ours] * len(theirs), rel=1e-3)  # but for equal magnitudes, of which either keeps others
    assert bool(ties.row(merge.THEIRS).cpu) == (find("mergekit") is not None)
    assert tsv.row(merge.THEIRS).missing == "no such method" and tsv.row(merge.OURS).facts[merge.RESIDENT] > 0
    assert markdown.section(report.result(0, 0))[0] == report.question
