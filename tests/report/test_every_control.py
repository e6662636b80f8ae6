"""All operators and LoRA in one report: each has a look of its own, stands in every table, and fits."""

import pytest
from synthetic import EVERY, results

from jaxtrunc.report import canvas, study, table, wording
from jaxtrunc.report.plots import curves, decoupling, plane
from jaxtrunc.report.study import Variant
from jaxtrunc.spectral import OPERATORS

GIVEN = results(operators=EVERY, norm_matched=True, ks=(0, 4, 16, 64))


@pytest.fixture(scope="module")
def plots():
    with canvas.style():
        return {plot.name: plot for room in (curves, decoupling, plane) for plot in room.draw(GIVEN)}


def column(plot: canvas.Plot, name: str) -> set:
    return {row[plot.columns.index(name)] for row in plot.rows}


def test_the_registry_and_lora_are_what_is_drawn():
    names = {*OPERATORS, "lora"}
    assert set(EVERY) == set(study.ORDER) == set(canvas.COLOURS) == set(canvas.MARKERS) == names


def test_no_two_operators_look_alike():
    looks = [canvas.line_of(Variant(name, False, "k", "ft", "per_leaf")) for name in EVERY]
    for feature in ("color", "marker", "label"):
        assert len({look[feature] for look in looks}) == len(EVERY)


def test_the_plane_holds_every_operator(plots):
    assert column(plots["gap_accuracy_plane"], "operator") == {*EVERY, "norm-matched interpolate"}


def test_each_axis_has_its_plot(plots):
    assert column(plots["gap_vs_k"], "operator") == {
        "top_k", "bottom_k", "drop_top_k", "random_k", "flatten_k", "noise", "lora"}
    assert column(plots["gap_vs_share"], "operator") == {"sparsify"}
    assert column(plots["gap_vs_share"], "seeds") == column(plots["accuracy_vs_share"], "seeds") == {5}
    assert {"lora", "sparsify", "noise"} <= column(plots["decoupling"], "operator")


def test_the_table_has_a_row_for_every_level():
    cells = [row.cells for row in table.rows(GIVEN)]
    assert [row[1] for row in cells if row[0] == "lora"] == ["4", "16"]
    assert [row[1] for row in cells if row[0] == "sparsify ×5"] == ["10 %", "25 %", "50 %", "75 %"]
    assert [row[1] for row in cells if row[0] == "noise ×5"] == ["0", "4", "16", "64"]


def test_lora_stands_once_though_it_has_no_residual_policy():
    (lora,) = (variant for variant in study.variants(GIVEN) if variant.operator == "lora")
    assert (lora.label, lora.axis) == ("lora", "k") and "lora: rank" in wording.axis_title("k")


@pytest.mark.parametrize(("name", "inches"), [("gap_accuracy_plane", 3.8), ("gap_vs_k", 2.5), ("accuracy_vs_k_norm_matched", 2.5)])
def test_a_long_legend_covers_nothing_and_leaves_the_plot_its_room(plots, name, inches):
    figure = plots[name].figure
    with canvas.style():
        figure.draw_without_rendering()
    (legend,), axes = figure.legends, figure.axes[0]
    below, inside = legend.get_window_extent(), axes.get_window_extent()
    assert below.y1 < inside.y0 and below.x0 >= 0 and below.x1 <= figure.bbox.width and below.y0 >= 0
    assert inside.height > inches * figure.dpi
