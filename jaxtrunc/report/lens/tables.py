"""The tables on one head: where it comes from, its spectrum, row scores, glitch lists, groups of tokens."""

from dataclasses import dataclass

from jaxtrunc.report.lens.cells import NONE, Cell, Facts, Table, Token, count, figures, id_ranges, plural, share, tokens

AT_ONCE = 20  # rows of a glitch list that are seen before the rest is opened
MOST_LABELS = 16  # of the scatter
MOST_GROUPS, MOST_IN_GROUP, MOST_CHIPS = 50, 20, 200
TIED = {True: "the input embedding (tied)", False: "a tensor of its own (not tied)", None: "not known to be tied or not"}
GLITCH_COLUMNS = {"spread": "spread", "nn5": "nn5", "norm": "norm", "norm_z": "z of norm", "wps1": "WPS", "wps1_z": "z of WPS",
                  "ref_cos": "cos to unused", "duplicates": "same rows"}
PROFILES = (
    ("never_trained", "Never-trained profile", "glitch score",
     "The first by glitch score: rows whose projections are concentrated on few directions (low spread) and that have close "
     "neighbours (nn5), as rows have that no gradient ever pulled apart. There is a first of every ranking: flagged are "
     "those whose spread is an outlier and whose nn5 is above 0.9."),
    ("high_projection", "High-projection tail", "|z| of WPS",
     "Rows that reach unusually far along the leading directions. In GPT-OSS published norm studies find spam tokens here."),
    ("low_projection", "Low-projection tail", "|z| of WPS",
     "Rows that take unusually little part in the leading directions, for lack of training or because of a very small norm."),
)
GROUPS = (
    ("unreachable", "Unreachable", "No text is tokenised to them."),
    ("undecodable", "Undecodable", "Hold a part of a character."),
    ("unused", "Reserved or unused", "Named so by the tokenizer."),
    ("special", "Special", "Marked so by the tokenizer."),
    ("byte", "Single bytes", "No characters by themselves."),
    ("padding", "Padding", "Rows beyond the tokenizer: in the SVD, in no list and no threshold."),
    ("zero_rows", "Zero rows", "Have no direction, so no cosine and no score."),
)


def provenance(facts: Facts) -> Table:
    """Which tensor was read, and how."""
    config, tokenizer = facts["config"], facts["tokenizer"]
    rows = [("model", facts["source"]["model"]), *source_rows(facts["source"]),
            ("tokenizer", f"{tokenizer['directory']}, {count(tokenizer['length'])} tokens" if tokenizer else "none: ids only"),
            ("numerical rank", count(facts["numerical_rank"])),
            *([("its tokens", _counts(facts["categories"]))] if facts["categories"] else []),
            ("directions, tokens a pole", f"K = {config['k']}, m = {config['m']}"),
            ("rows with a nearest-neighbour cosine", "all" if config["nn_rows"] is None else count(config["nn_rows"])),
            ("known to be unused", _reference(facts["glitch"]["reference"])), ("text", _policy(facts["text_policy"]))]
    chosen = [words for key, words in (("drop_padding", "padding rows dropped before the SVD"),
                                       ("fold_norm", "columns multiplied by the final norm"),
                                       ("fast", "one pass: small singular values are less exact")) if config[key]]
    return Table(("", "the head"), [*rows, *(("option", words) for words in chosen)])


def source_rows(source: Facts) -> list[tuple[str, str]]:
    """Where a head lies and what it is, as name and value."""
    rows, width = source["shape"]
    return [("tensor", f"{source['key']} in {source['file']}"), ("shape", f"{rows:,} × {width:,}, {source['dtype']}"),
            ("the head is", TIED[source["tied"]]), ("SHA-256 of its bytes", source["sha256"])]


def spectrum(facts: Facts) -> Table:
    """The numbers of the spectrum, as it stands and with the mean row taken off (unless nothing is left then)."""
    spectra = {"head": facts["spectrum"], "mean row removed": facts["spectrum"].get("centred")}
    known = {name: spectrum for name, spectrum in spectra.items() if spectrum}
    return Table(("", *known), [(name, *map(read, known.values())) for name, read in _SPECTRUM])


_SPECTRUM = (
    ("σ₁", lambda s: figures(s["sigma"][0], 4)),
    ("share of energy in the leading direction", lambda s: share(s["cumulative_energy"][0])),
    ("σ₁ / σ₂", lambda s: figures(s["sigma"][0] / s["sigma"][1]) if len(s["sigma"]) > 1 and s["sigma"][1] else NONE),
    ("stable rank ‖W‖² / σ₁²", lambda s: figures(s["stable_rank"])),
    ("effective rank", lambda s: figures(s["effective_rank"])),
    ("directions for 50, 90, 99 % of the energy", lambda s: ", ".join(count(s["energy_k"][q]) for q in ("0.5", "0.9", "0.99"))),
)


def glitch_lists(facts: Facts) -> list[tuple[Table, Table]]:
    """Per profile the rows that are seen at once, and the rest."""
    lists = []
    for key, title, score, note in PROFILES:
        listed, flagged = facts["glitch"][key], facts["glitch"]["counts"].get(key)
        columns, rows = _with_values(("token", score, *GLITCH_COLUMNS.values()), [_glitch_row(entry) for entry in listed])
        heading = f"{title}: {plural(flagged, 'token')} flagged" if flagged is not None else title
        lists.append((Table(columns, rows[:AT_ONCE], heading, note), Table(columns, rows[AT_ONCE:])))
    return lists


def _glitch_row(entry: Facts) -> tuple[Cell, ...]:
    token = Token(entry["id"], entry["token"], category=entry["category"])
    same = entry["duplicates"] if entry["duplicates"] > 1 else None
    return (token, *(figures(value) for value in (entry["score"], *(entry[key] for key in GLITCH_COLUMNS if key != "duplicates"))),
            count(same))


def _with_values(columns: tuple[str, ...], rows: list[tuple[Cell, ...]]) -> tuple[tuple[str, ...], list[tuple[Cell, ...]]]:
    """Without the columns in which no row has a value."""
    kept = [place for place in range(len(columns)) if not rows or any(row[place] != NONE for row in rows)]
    return tuple(columns[place] for place in kept), [tuple(row[place] for place in kept) for row in rows]


def labelled(facts: Facts) -> Table:
    """The rows that the scatter labels, in words."""
    columns = facts["scatter"]
    place = {token: row for row, token in enumerate(columns["ids"])}
    rows: list[tuple[Cell, ...]] = [
        (Token(token, columns["token"][row], category=columns["category"][row]),
         figures(columns["norm"][row]), figures(columns["spread"][row]))
        for token in labelled_ids(facts) if (row := place.get(token)) is not None]
    return Table(("labelled", "norm", "spread"), rows)


def labelled_ids(facts: Facts) -> list[int]:
    """The first of each glitch list, in turn."""
    lists = [[entry["id"] for entry in facts["glitch"][key]] for key, *_ in PROFILES]
    turns = [ids[turn] for turn in range(max(map(len, lists))) for ids in lists if turn < len(ids)]
    return list(dict.fromkeys(turns))[:MOST_LABELS]


def duplicates(facts: Facts) -> Table:
    """Groups of rows that are the same bit for bit, largest first."""
    groups = facts["duplicates"]
    rows: list[tuple[Cell, ...]] = [(_size(len(group)), named(group[:MOST_IN_GROUP], facts)) for group in groups[:MOST_GROUPS]]
    left = len(groups) - MOST_GROUPS
    return Table(("size", "tokens"), rows, note=f"{plural(left, 'more group')} in lens.json." if left > 0 else "")


def _size(rows: int) -> str:
    return f"{plural(rows, 'row')}, the first {MOST_IN_GROUP}" if rows > MOST_IN_GROUP else plural(rows, "row")


@dataclass(frozen=True)
class Group:
    """Tokens that are unusual for a known reason.

    Attributes:
      ids: all of them, as ranges.
      tokens: the first `MOST_CHIPS`; none where there is no text to show.
      left: how many more there are, in words.
    """

    name: str
    meaning: str
    ids: str
    tokens: tuple[Token, ...]
    left: str


def groups(facts: Facts) -> list[Group]:
    """The groups that have members."""
    return [_group(facts, facts[key], f"{title}: {count(len(facts[key]))}", meaning, textless=key in ("padding", "zero_rows"))
            for key, title, meaning in GROUPS if facts[key]]


def _group(facts: Facts, ids: list[int], name: str, meaning: str, textless: bool) -> Group:
    shown = () if textless else named(ids[:MOST_CHIPS], facts)
    return Group(name, meaning, id_ranges(ids), shown, f"and {count(len(ids) - MOST_CHIPS)} more" if len(ids) > MOST_CHIPS else "")


def named(ids: list[int], facts: Facts) -> tuple[Token, ...]:
    """Tokens of a list by id, with the text that lens.json has for them."""
    return tokens(ids, [facts["texts"].get(str(token)) for token in ids])


def worksheet(facts: Facts) -> list[tuple[str, list[str]]]:
    """Possible causes with the evidence; a person chooses."""
    return [(entry["cause"], entry["evidence"]) for entry in facts["worksheet"]]


def gates(facts: Facts) -> list[tuple[str, str, bool]]:
    """Each gate with its value and whether it was crossed."""
    return [(gate["gate"], figures(gate["value"]), gate["crossed"]) for gate in facts["gates"]]


def _counts(categories: dict[str, int]) -> str:
    return ", ".join(f"{count(number)} {name}" for name, number in sorted(categories.items(), key=lambda item: -item[1]))


def _reference(reference: Facts | None) -> str:
    origins = {"user": "given", "padding": "padding", "unused": "reserved by name"}
    return f"{plural(reference['count'], 'row')}, {origins[reference['from']]}" if reference else "none"


def _policy(policy: Facts) -> str:
    if policy["ids_only"]:
        return "none: ids only"
    masked = f"; {plural(policy['redacted'], 'token')} masked" if policy["redacted"] else ""
    return f"raw pieces; ␠ is a space, ◌ carries a lone mark{masked}"
