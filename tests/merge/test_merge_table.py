"""The table of a merge: the same on the terminal and in the model card, without rows of which nothing can be said."""

import pytest

from jaxtrunc.report.merge import CAPTION, by_module, print_merge, unchanged_line

LAYERS = "model.layers.0.", "model.layers.1."


def entry(delta: float | None = 0.0, norms: tuple[float, ...] | None = (0.0, 0.0)):
    """What merge.json says of a tensor."""
    return {"delta_norm": delta, "task_norms": norms, "frobenius_cosine": None, "sti_before": None, "sti_after": None}


@pytest.mark.parametrize(("second", "shown"), [
    (entry(), False), (entry(1.0, (1.0, 0.0)), True), (entry(0.0, (1.0, 1.0)), True), (entry(1.0), True), (entry(None, None), True),
], ids=["nobody changed it", "changed", "cancelled", "the rule changed it", "unknown"])
def test_kinds_that_nobody_changed_have_no_row(second, shown):
    rows, unchanged = by_module({"tensors": {f"{LAYERS[0]}mlp.up_proj.weight": entry(), f"{LAYERS[1]}mlp.up_proj.weight": second}})
    assert [row[0] for row in rows] == ["mlp.up_proj"] * shown and unchanged == ["mlp.up_proj"] * (not shown)


def test_what_stands_under_the_table(capsys):
    print_merge({"tensors": {"model.norm.weight": entry(), f"{LAYERS[0]}mlp.up_proj.weight": entry(1.0, (1.0, 1.0))}})
    said = " ".join(capsys.readouterr().out.split())
    assert "Unchanged: norm." in said and CAPTION in said and "│ norm" not in said


def test_nothing_is_said_where_everything_has_a_row():
    assert unchanged_line([]) == []


def test_the_card_says_the_same(models, merged, tmp_path):
    base, one, two, _ = models
    assert merged("--method", "tsv_merge", "--base-model", base, "--models", one, two, "--out-path", tmp_path / "out")[0] == 0
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"\n{CAPTION}\n" in card and "Unchanged" not in card and "| mlp.up_proj | 2 |" in card
