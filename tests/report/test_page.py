"""The page: self-contained, escaped, whole for every kind of result; plots as PNG, SVG and CSV."""

import csv
import re
from html.parser import HTMLParser

import pytest
from synthetic import results, spectra

from jaxtrunc.report import print_table, write_report
from jaxtrunc.report.groups import group_tables

OUTSIDE = re.compile(r"""(?:\bsrc|\bsrcset|href)\s*=\s*["']?\s*(?:https?:)?//|url\(\s*["']?(?:https?:)?//|@import""", re.I)
VOID = {"meta", "br", "img", "link", "hr", "input"}


class Balanced(HTMLParser):
    """Fails on a tag that is closed in the wrong order."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    given = results(norm_matched=True, fractions=(0.1, 0.5), attributes=("marker", "other"))
    write_report(run, given)
    return run, given, (run / "report.html").read_text()


def test_nothing_is_loaded_from_outside(made):
    _, _, page = made
    assert not OUTSIDE.search(page) and "<script" not in page and len(page) > 20_000


def test_tags_are_balanced(made):
    parser = Balanced()
    parser.feed(made[2])
    assert not parser.open


def test_the_page_holds_every_part(made):
    _, given, page = made
    for words in ("Accuracy and gap at every truncation", "Gap against accuracy", "Accuracy by group", "The choice of k",
                  "Spectra of the update", "Size of the update", "What was not shown", "oracle", "arXiv 2606.07596",
                  "Each operator against top_k", "Whose definitions", "Base, fine-tuned, and cut at k*",
                  given["warnings"][0], "norm-matched", "marker = 1", "other = 1"):
        assert words in page, words


def test_every_plot_stands_beside_the_page_in_three_forms(made):
    run, _, page = made
    names = {file.stem for file in (run / "plots").iterdir()}
    assert {"gap_vs_k", "accuracy_vs_k", "decoupling", "gap_accuracy_plane"} <= names
    for name in names:
        assert {file.suffix for file in (run / "plots").glob(f"{name}.*")} == {".png", ".svg", ".csv"}
        assert f"plots/{name}.csv" in page


def test_a_csv_holds_the_numbers_that_are_drawn(made):
    run, given, _ = made
    with open(run / "plots" / "gap_vs_k.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["operator"] == "top_k"]
    wanted = {r["k"]: 100 * r["metrics"]["gap"] for r in given["records"]
              if r["operator"] == "top_k" and r["k"] is not None}
    assert {int(float(row["x"])): float(row["value_points"]) for row in rows} == pytest.approx(wanted)


def test_the_same_results_give_the_same_bytes(made, tmp_path):
    run, given, page = made
    write_report(tmp_path, given)
    assert (tmp_path / "report.html").read_text() == page
    assert (tmp_path / "plots" / "decoupling.svg").read_bytes() == (run / "plots" / "decoupling.svg").read_bytes()


def test_hostile_words_are_escaped(tmp_path):
    given = results(attributes=("<b>x</b>",))
    bad = "<script>alert(1)</script>"
    group = given["endpoints"]["ft"]["per_attribute"]["<b>x</b>"]["groups"][0]
    given["config"]["name"] = given["warnings"][0] = group["label"] = bad
    write_report(tmp_path, given)
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page and "&lt;script&gt;" in page and "<b>x</b>" not in page


@pytest.mark.parametrize("changes", [
    {"attributes": ()}, {"selected": None, "label": None}, {"operators": ("top_k",), "alphas": ()}, {"intervals": False},
    {"classes": ("entailment", "neutral", "contradiction")}, {"operators": ("flatten_k",), "ks": (4,)}, {"selected": 0},
], ids=str)
def test_nulls_and_gaps_break_nothing(changes, tmp_path, capsys):
    given = results(**changes)
    write_report(tmp_path, given)
    print_table(given)
    page = (tmp_path / "report.html").read_text()
    assert "What was not shown" in page and not re.search(r"\b(nan|None)\b", re.sub(r"(?s)<(svg|pre).*?</\1>", "", page))
    assert "ft" in capsys.readouterr().out


def test_results_without_spectra_or_curves(tmp_path):
    for found in ({}, spectra(curves=False)):
        write_report(tmp_path, results() | {"spectra": found})


def test_group_table_has_base_ft_and_chosen():
    given = results()
    table = group_tables(given)[0]
    assert table.attribute == "marker" and len(table.rows) == 4
    ft = given["endpoints"]["ft"]["groups"][0]
    assert table.rows[0][0] == "negative, marker = 0" and f"{100 * ft['accuracy']:.1f}" in table.rows[0][3]


def test_the_table_marks_the_chosen_level(capsys):
    print_table(results())
    said = capsys.readouterr().out
    assert "8 ◀" in said and "interpolate" in said and "random_k ×5" in said
