"""The page of a lens: it stands alone, is the same twice, and no token can break it, in HTML or in Markdown."""

import base64
import io
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lens_facts import HOSTILE, facts, hostile, plain
from markdown_it import MarkdownIt

from jaxtrunc.report.lens import write_lens_page
from jaxtrunc.report.lens.cells import MOST, Token, figures, id_ranges
from jaxtrunc.report.lens.markdown import as_markdown, escape
from jaxtrunc.report.lens.page import render

OUTSIDE = re.compile(r"""(?:\bsrc|\bsrcset|href)\s*=\s*["']?\s*(?:https?:)?//|url\(\s*["']?(?:https?:)?//|@import""", re.I)
VOID = {"meta", "br", "img", "link", "hr", "input"}
CHOICES = {"plain": {}, "hostile": {"text": hostile}, "no tokenizer": {"text": None}, "compared": {"compare": True},
           "unchanged": {"compare": True, "unchanged": True}, "hostile, compared": {"text": hostile, "compare": True},
           "one direction": {"k": 1, "compare": True}}


class Reader(HTMLParser):
    """What a browser would see; fails on a tag that is closed in the wrong order, or an id that is there twice."""

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.tokens: list[str] = []
        self.words = ""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self._attributes(tag, dict(attrs))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "bdi":
            self.tokens.append("")

    def handle_startendtag(self, tag, attrs):
        self._attributes(tag, dict(attrs))

    def _attributes(self, tag, attrs):
        assert tag != "script" and not any(name.startswith("on") for name in attrs)
        if "id" in attrs:
            assert attrs["id"] not in self.ids, attrs["id"]
            self.ids.add(attrs["id"])
        if (attrs.get("href") or "").startswith("#"):
            self.links.add(attrs["href"][1:])

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        if "bdi" in self.open:
            self.tokens[-1] += data
        if not {"style", "svg", "pre"} & set(self.open):
            self.words += data


@pytest.fixture(scope="module", params=CHOICES)
def made(request):
    given = facts(**CHOICES[request.param])
    page = render(given)
    return given, page, Reader(page)


def test_the_page_stands_alone(made):
    _, page, reader = made
    assert not OUTSIDE.search(page) and "<script" not in page and len(page) > 20_000
    assert reader.links <= reader.ids
    page.encode()


def test_nothing_is_left_unsaid_or_undefined(made):
    given, _, reader = made
    assert not re.search(r"\b(None|nan|inf)\b", reader.words)
    for words in ("a triage signal, not proof", "candidates, unverified", "exact formulae were not available", "arXiv 2605.22005",
                  *given["caveats"], *given["warnings"], "Root causes: a person chooses", given["source"]["sha256"]):
        assert words in reader.words, words
    for entry in given["worksheet"]:
        assert entry["cause"] in reader.words and all(sentence in reader.words for sentence in entry["evidence"])


def test_every_token_of_every_direction_is_there_with_its_id(made):
    given, page, reader = made
    for direction in given["directions"]:
        for pole in direction["poles"].values():
            for token, text in zip(pole["ids"], pole["tokens"], strict=True):
                assert f"<small>{token}</small>" in page
                assert text is None or Token(token, text).shown in reader.tokens
    assert bool(reader.tokens) == (given["tokenizer"] is not None)


def test_hostile_tokens_come_through_as_they_are():
    reader = Reader(render(facts(hostile)))
    assert {text for text in HOSTILE if len(text) <= MOST} <= set(reader.tokens)
    assert f"{'x' * MOST}…(+{300 - MOST})" in reader.tokens


@pytest.mark.parametrize("choice", CHOICES)
def test_markdown_shows_the_same_and_holds_no_html(choice):
    given = facts(**CHOICES[choice])
    text = as_markdown(given)
    assert "<" not in text
    reader = Reader(MarkdownIt("commonmark").enable("table").render(text))
    for pole in given["directions"][0]["poles"].values():
        for token, shown in zip(pole["ids"], pole["tokens"], strict=True):
            assert f"{Token(token, shown).isolated} {token}" in reader.words if shown else str(token) in reader.words
    assert all(caveat in reader.words for caveat in given["caveats"])


def test_no_token_adds_a_cell_to_a_table():
    lines = [line for line in as_markdown(facts(hostile, compare=True)).splitlines() if line.startswith("|")]
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in lines]
    heads = [place for place, line in enumerate(lines) if set(line) <= set("|- ")]
    for head, following in zip(heads, [*heads[1:], len(lines) + 1], strict=True):
        assert len(set(widths[head - 1:following - 1])) == 1


@settings(deadline=None, derandomize=True, database=None)
@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1))
def test_escaped_text_is_the_same_text_to_a_reader_of_markdown(text):
    shown = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(f"x {escape(text)} y")
    assert Reader(shown).words.strip() == f"x {text} y"


def test_the_same_facts_give_the_same_bytes(tmp_path):
    for place in ("one", "other"):
        write_lens_page(tmp_path / place, facts(hostile, compare=True))
    assert sorted(file.name for file in (tmp_path / "one").iterdir()) == ["report.html", "report.md"]
    for name in ("report.html", "report.md"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_right_to_left_text_is_isolated():
    assert Token(5, "שלום").isolated == "\u2068שלום\u2069" and Token(5, "the").isolated == "the"
    assert "<bdi>שלום␠עולם</bdi>" in render(facts(hostile))


def test_a_large_vocabulary_gives_a_page_of_bounded_size():
    many = list(range(60_000))
    given = facts(compare=True)
    scatter = {"ids": many[:3150], "norm": [1.0 + t / 3150 for t in range(3150)], "spread": [0.5] * 3150, "category": ["ok"] * 3150,
               "listed": [False] * 3150, "token": ["␠word"] * 3150}
    given |= {"scatter": scatter, "padding": many, "unreachable": many[::2], "undecodable": many[1::2], "zero_rows": many,
              "duplicates": [many[:20_000], *([t, t + 1] for t in range(20_000, 60_000, 2))]}
    page, text = render(given), as_markdown(given)
    assert len(page) < 2_500_000 and len(text) < 300_000
    assert "30,000" in page and "and 29,988 more" in page and "0–59999" in page and "19,951 more groups in lens.json" in page


def test_scores_that_are_not_defined():
    given = facts()
    for histogram in ("wps1_K", "wps1_d", "norm", "spread"):
        given["wps"][histogram] |= {"low": None, "high": None}
    for entry in given["glitch"]["never_trained"]:
        entry |= {"wps1_z": None, "norm_z": None}
    given["directions"][3]["poles"]["+"] |= dict.fromkeys(("vcs", "vcs_z", "vcs_null_sd", "vcs_null_mean", "vcs_centred"))
    given["gates"] = [{"gate": "glitch>0.01", "value": None, "crossed": False}]
    reader = Reader(render(given))
    assert "n/a" in reader.words and "None" not in reader.words


@pytest.mark.parametrize("change", [
    {"glitch": {"never_trained": [], "high_projection": [], "low_projection": [], "counts": {"eligible": 0}, "reference": None}},
    {"scatter": {"ids": [], "norm": [], "spread": [], "category": [], "listed": [], "token": []}},
    {"duplicates": [], "padding": [], "special": [], "undecodable": [], "zero_rows": [], "texts": {}},
    {"warnings": [], "gates": []}, {"directions": []}, {"source": facts()["source"] | {"tied": None}},
], ids=lambda change: "-".join(change))
def test_empty_parts_break_nothing(change):
    given = facts() | change
    Reader(render(given))
    as_markdown(given)


def test_what_the_comparison_says():
    given = facts(compare=True)
    words = Reader(render(given)).words
    for said in (given["comparison"]["heads"], "Principal angles", "Persistence", "retained", "drifted", "dissolved",
                 "ΔW itself", "Matching of the directions", "rows changed most",
                 "differs by 3.1\u00a0%", "models/tuned", "890, by token", "11.5°"):
        assert said in words, said
    assert "Principal angles" not in Reader(render(facts())).words
    assert "bit for bit the same." in Reader(render(facts(compare=True, unchanged=True))).words


def test_gates_are_named_with_their_state():
    page = render(facts())
    assert re.search(r"glitch&gt;0\.01</code></td><td>0\.034</td><td><span class=\"badge bad\">crossed", page)
    assert re.search(r"duplicates&gt;5</code></td><td>3</td><td><span class=\"badge good\">held", page)


def test_a_column_without_a_value_is_left_out():
    given = facts()
    assert "cos to unused</th>" not in render(given) and "same rows</th>" not in render(given)
    given["glitch"]["never_trained"][0] |= {"ref_cos": 0.5, "duplicates": 4}
    page = render(given)
    assert page.count("cos to unused</th>") == page.count("same rows</th>") == 2  # the rows seen at once, and the rest


def test_the_sign_for_a_space_has_a_glyph_of_its_own():
    fonts = pytest.importorskip("fontTools.ttLib")
    data = re.search(r"data:font/woff;base64,([\w+/=]+)\)", render(facts()))
    assert data and list(fonts.TTFont(io.BytesIO(base64.b64decode(data[1]))).getBestCmap()) == [ord("␠")]


@pytest.mark.parametrize(("value", "said"), [(None, "n/a"), (0, "0"), (-2.5, "−2.5"), (0.12345, "0.123"), (1234.5, "1,234"),
                                            (999.7, "1,000"), (0.00012345, "1.23e−04"), (3.2e12, "3.20e+12")])
def test_figures(value, said):
    assert figures(value) == said


def test_id_ranges():
    assert id_ranges([700, 5, 3, 4]) == "3–5, 700"
    assert id_ranges(list(range(0, 100, 2)), most=3) == "0, 2, 4 and 47 more"


def test_ids_alone_where_a_text_is_missing():
    given = facts(lambda token: plain(token) if token % 2 else None)
    assert re.search(r'<span class="tok "><small>\d*[02468]</small></span>', render(given))
