"""The map of a merge: legible, before and after in the same colours, whatever matrices the layers have."""

import csv
from itertools import combinations

import numpy as np
import pytest

from jaxtrunc.report import canvas, merge_map
from jaxtrunc.report.plots.heat import draw_table

KINDS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
         "mlp.down_proj")


def entry(before, after, shape=(8, 8)):
    return {"shape": list(shape), "rank_used": 4, "delta_norm": 1.0, "frobenius_cosine": [[1, 0.5], [0.5, 1]], "sti_before": before,
            "sti_after": after}


def layered(layers, kinds=KINDS):
    return {f"model.layers.{layer}.{kind}.weight": entry(0.2345, 0.0123) for layer in range(layers) for kind in kinds}


def drawn(tensors):
    """The axes with maps, and the boxes of the numbers and labels in each, in pixels."""
    with canvas.style():
        figure = merge_map.draw(tensors)
        figure.savefig("/dev/null", format="png")
        maps = [axes for axes in figure.axes if axes.get_ylabel() == "layer"]
        return figure, maps, [[text.get_window_extent() for text in axes.texts] for axes in maps]


def test_numbers_keep_apart():
    _, maps, boxes = drawn(layered(4))
    assert len(maps) == 2 and [len(found) for found in boxes] == [28, 28]
    assert not any(a.overlaps(b) for found in boxes for a, b in combinations(found, 2))
    assert [label.get_text() for label in maps[0].get_xticklabels()] == [kind.split(".")[1] for kind in KINDS]


def test_before_and_after_have_the_same_colours():
    _, maps, _ = drawn(layered(4))
    assert [axes.collections[0].get_clim() for axes in maps] == [(0, 0.2345)] * 2


@pytest.mark.parametrize("layers", [1, 9, 80])
def test_any_number_of_layers_fits_on_a_page(layers):
    figure, maps, _ = drawn(layered(layers))
    assert figure.get_figheight() <= 11 and all(axes.get_window_extent().height > 50 for axes in maps)


def test_layers_with_other_matrices(tmp_path):
    tensors = layered(1, KINDS[:2]) | {"model.layers.1.mlp.up_proj.weight": entry(0.4, 0.1),
                                       "model.layers.1.mlp.up_proj.bias": entry(None, None, (8,))}
    layers, kinds, found = merge_map.tables(tensors)
    assert layers == [0, 1] and kinds == [*KINDS[:2], "mlp.up_proj"]
    np.testing.assert_array_equal(found["STI before"], [[0.2345, 0.2345, np.nan], [np.nan, np.nan, 0.4]])
    merge_map.write_interference(tmp_path, {"tensors": tensors})
    rows = list(csv.reader((tmp_path / "plots" / "interference.csv").open()))
    assert [row[0] for row in rows[1:]] == list(tensors) and rows[-1][-1] == ""


def test_nothing_known(tmp_path):
    unknown = entry(None, None) | {"frobenius_cosine": None, "delta_norm": None}
    merge_map.write_interference(tmp_path, {"tensors": {"model.layers.0.mlp.up_proj.weight": unknown}})
    assert "Unknown" in (tmp_path / "plots" / "interference.svg").read_text()


def test_names_that_would_be_the_same_stay_whole():
    assert merge_map.short(["attn.c_attn", "attn.c_proj", "mlp.c_proj"]) == ["c_attn", "attn.c_proj", "mlp.c_proj"]


@pytest.mark.parametrize(("shape", "value", "text"), [((8, 7), 0.01234, "0.0123"), ((4, 10), 0.01234, "0.012"),
                                                      ((3, 20), 0.5123, None)])
def test_numbers_are_as_long_as_the_cells_are_wide(shape, value, text):
    figure = canvas.new_figure(4.0)
    draw_table(figure, np.full(shape, value), list(range(shape[0])), [f"m{column}" for column in range(shape[1])])
    assert {found.get_text() for found in figure.axes[0].texts} == ({text} if text else set())
