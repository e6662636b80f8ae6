"""Every number that describes a spectrum is on the page, by module type and by layer."""

import re
from statistics import median

import pytest
from synthetic import MODULES, results, spectra

from jaxtrunc.report.diagnostics import diagnostics
from jaxtrunc.report.page import render

LAYERS = 3
TITLES = ("effective rank of energy", "participation ratio", "tail slope", "mp_edge (% of s₁)", "dg_hard (% of s₁)",
          "signflip_edge (% of s₁)", "spikes", "bulk energy (%)", "intruders", "below bf16 (%)")
PLOTS = {name: [] for name in ("curves", "plane", "decoupling", "spectra", "heat")}


@pytest.fixture
def given():
    """Results in which every matrix has numbers of its own."""
    made = results(layers=LAYERS)
    for number, entry in enumerate(made["spectra"].values()):
        entry |= {"participation_ratio": 1.5 * number, "spikes": number, "intruders": number % 4, "tail_slope": -number / 10,
                  "bulk_energy": number / 50, "below_bf16": number / 100, "mp_edge": 0.01 * number, "mp_valid": number % 2 == 0}
    return made


def cell(table, name, column):
    return dict(zip(table.columns, next(cells for cells in table.rows if cells[0] == name), strict=True))[column]


def test_medians_by_module_and_by_layer(given):
    modules, _, layers = diagnostics(given)
    ups = [given["spectra"][f"model.layers.{layer}.mlp.up_proj.weight"] for layer in range(LAYERS)]
    first = [given["spectra"][f"model.layers.1.{module}.weight"] for module in MODULES]
    for table, name, entries in ((modules, "up_proj", ups), (layers, "1", first)):
        assert cell(table, name, "matrices") == str(len(entries))
        assert cell(table, name, "participation ratio") == f"{median(e['participation_ratio'] for e in entries):.1f}"
        assert cell(table, name, "tail slope") == f"{median(e['tail_slope'] for e in entries):.2f}".replace("-", "−")
        assert cell(table, name, "below bf16 (%)") == f"{100 * median(e['below_bf16'] for e in entries):.1f}"
        assert cell(table, name, "noise edge valid") == f"{sum(e['mp_valid'] for e in entries)} of {len(entries)}"
    assert [cells[0] for cells in layers.rows] == ["0", "1", "2"]


def test_edges_are_shares_of_the_largest_singular_value(given):
    for entry in given["spectra"].values():
        entry |= {"frobenius": 6.0, "stable_rank": 9.0, "signflip_edge": 0.5, "mp_edge": 0.2}  # s₁ = 2
    for table in diagnostics(given)[::2]:
        assert {(cells[table.columns.index("mp_edge (% of s₁)")], cells[table.columns.index("signflip_edge (% of s₁)")])
                for cells in table.rows} == {("10.0", "25.0")}


def test_the_page_has_both_tables_folded_away(given):
    page = render(given, PLOTS)
    (folded,) = re.findall(r"(?s)<details><summary>Every diagnostic.*?</details>", page)
    assert folded.count("<table>") == 3
    for title in TITLES:
        assert folded.count(f"<th>{title}</th>") == 2, title
    assert folded.count("<th>stable rank</th>") == 1, "by layer; by module it stands in the table above"


def test_unknown_numbers_take_no_room():
    older = spectra(2)
    for entry in older.values():
        del entry["participation_ratio"]
        entry |= {"mp_edge": None, "spikes": None}
    for table in diagnostics({"spectra": older})[::2]:
        assert not {"participation ratio", "mp_edge (% of s₁)", "spikes"} & {*table.columns} and "intruders" in table.columns
    assert diagnostics({"spectra": {}}) == []


def test_what_lies_in_no_layer_has_a_row_of_its_own(given):
    given["spectra"]["lm_head.weight"] = next(iter(given["spectra"].values()))
    for table in diagnostics(given)[1:]:
        assert [cells[0] for cells in table.rows] == ["0", "1", "2", "outside the layers"]
