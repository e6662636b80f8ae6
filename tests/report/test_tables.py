"""The small tables of the page: what stands in a cell follows from the results."""

import pytest
from synthetic import results, spectra

from jaxtrunc.report.table import rows
from jaxtrunc.report.tables import controls, endpoints, modules
from jaxtrunc.report.tensors import by_module


def row(table, name):
    return dict(zip(table.columns, next(cells for cells in table.rows if cells[0].startswith(name)), strict=True))


def test_endpoints_list_the_factor_under_each_definition():
    given = results()
    chosen = next(r for r in given["records"] if r["operator"] == "top_k" and r["k"] == 8)
    chosen["comparison"]["reduction_range"] = {"value": 2.5, "interval": None}
    chosen["comparison"]["reduction_pooled"] = {"value": None, "interval": [1.5, None]}
    table = endpoints(given)
    assert table.columns[3] == "top_k at k* = 8"
    assert row(table, "gap_range: ")["FT → k*"] == "2.50×" and row(table, "gap_pooled")["FT → k*"] == "– [1.50, ∞]"
    assert row(table, "accuracy")["FT"].startswith("82.0 [")
    assert row(table, "gap:")["base"].startswith("+2.0 [")


def test_endpoints_without_a_selection_have_no_numbers_at_k_star():
    table = endpoints(results(selected=None))
    assert table.columns[3] == "k* (none)" and {cells[3] for cells in table.rows} == {"–"}


@pytest.mark.parametrize("ks", [(0, 1, 8, 64), (1, 8, 64)])
def test_at_k_zero_no_factor_is_given(ks):
    """Neither from the level k = 0 nor, where that was not swept, from the base."""
    given = results(selected=0, ks=ks)
    for record in (*given["records"], given["endpoints"]["base"]):
        record["comparison"] |= {name: {"value": 9.0, "interval": [5.0, 12.0]} for name in ("reduction", "reduction_pooled")}
    table = endpoints(given)
    assert table.columns[3] == "top_k at k* = 0" and {cells[4] for cells in table.rows} == {"–", ""}
    assert all(level.cells[-1] == "–" for level in rows(given) if level.chosen)


def test_controls_say_where_they_were_compared():
    given = results(operators=("top_k", "bottom_k", "interpolate"))
    given["verdict"]["advantage"]["interpolate"]["points"] = [{"k": None, "param": 0.25, "share": 0.4},
                                                              {"k": None, "param": 0.5, "share": 0.6}]
    given["verdict"]["advantage"]["bottom_k"]["points"] = [{"k": 32, "param": None, "share": 1.0}]
    table = controls(given)
    assert row(table, "interpolate")["compared at"] == "α = 0.25 and α = 0.5"
    assert row(table, "bottom_k")["compared at"] == "k = 32" and row(table, "top_k")["decoupling"].startswith("+0.31")
    assert not any(cells[0] == "lora" for cells in table.rows), "a control that was not run has no row"


def test_controls_of_a_run_without_verdict_are_empty():
    assert controls(results() | {"verdict": None}).rows == []


def test_modules_give_median_and_range_over_layers():
    given = results(layers=3)
    values = sorted(given["spectra"][f"model.layers.{i}.mlp.up_proj.weight"]["stable_rank"] for i in range(3))
    cell = row(modules(given), "up_proj")["stable rank"]
    assert cell == f"{values[1]:.1f} ({values[0]:.1f} to {values[2]:.1f})"
    assert row(modules(given), "up_proj")["noise edge valid"] == "0 of 3"


def test_modules_of_older_spectra_leave_out_what_is_not_there():
    table = modules(results() | {"spectra": spectra(curves=False)})
    assert "‖ΔW‖ / ‖W‖ (%)" not in table.columns and "stable rank" in table.columns


@pytest.mark.parametrize(("name", "layer", "module"), [
    ("model.layers.11.self_attn.qkv_proj.weight#q", 11, "qkv_proj#q"), ("lm_head.weight", None, "lm_head"),
    ("model.layers.0.mlp.experts.7.up_proj.weight", 0, "up_proj"),
])
def test_layer_and_module_are_read_from_the_tensor_name(name, layer, module):
    entry = next(iter(spectra(1).values()))
    (found,) = by_module({"spectra": {name: entry}})[module]
    assert found.layer == layer
