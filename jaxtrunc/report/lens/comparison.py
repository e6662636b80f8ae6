"""The tables of the comparison of two heads: angles, matching, persistence, movers."""

from dataclasses import dataclass
from math import degrees

from jaxtrunc.report.lens.cells import NONE, Cell, Facts, Table, Token, count, figures, plural, tokens
from jaxtrunc.report.lens.directions import Direction, directions
from jaxtrunc.report.lens.tables import source_rows

AT_ONCE = 20  # movers that are seen before the rest is opened
TONES = {"retained": "good", "drifted": "mixed", "dissolved": "bad"}
SIDES = {"right": "right (hidden states)", "left": "left (tokens)"}


def sources(comparison: Facts) -> Table:
    """The tuned head, and how its rows were laid beside those of the base."""
    alignment = comparison["alignment"]
    rows = [("model", comparison["source"]["model"]), *source_rows(comparison["source"]),
            ("rows beside each other", f"{count(alignment['rows'])}, by {alignment['by']}"),
            _unmatched("only in the base", alignment["only_base"]), _unmatched("only in the tuned model", alignment["only_tuned"]),
            ("‖ΔW‖ / ‖W‖", figures(comparison["relative_change"]))]
    return Table(("", "the tuned head"), rows)


def _unmatched(name: str, part: Facts) -> tuple[str, str]:
    ids = ", ".join(map(str, part["ids"]))
    more = ", …" if part["count"] > len(part["ids"]) else ""
    return name, f"{plural(part['count'], 'row')}{f': ids {ids}{more}' if ids else ''}"


def spectra(base: Facts, tuned: Facts) -> Table:
    """Summary numbers of both spectra."""
    rows = [(name, *(read(which) for which in (base, tuned))) for name, read in _NUMBERS]
    return Table(("", "base", "tuned"), rows)


_NUMBERS = (
    ("σ₁", lambda s: figures(s["sigma"][0], 4)),
    ("stable rank", lambda s: figures(s["stable_rank"])),
    ("effective rank", lambda s: figures(s["effective_rank"])),
    ("directions for 90 % of the energy", lambda s: count(s["energy_k"]["0.9"])),
)


def angles(comparison: Facts) -> Table:
    """Principal angles between leading subspaces, with what random subspaces would have."""
    rows = [(f"{SIDES[side]}, K = {entry['k']}", *(_degrees(entry[key]) for key in ("max", "mean")), figures(entry["chordal"]),
             _degrees(entry["random_mean"])) for side in SIDES for entry in comparison["angles"][side]]
    return Table(("subspace", "largest angle", "mean angle", "chordal distance", "random subspaces"), rows)


def _degrees(angle: float | None) -> str:
    return NONE if angle is None else f"{figures(degrees(angle))}°"


def matching(comparison: Facts) -> Table:
    """Which direction of the base became which of the tuned head."""
    rows = [(f"{pair['base']} → {pair['tuned']}", figures(pair["cosine"]), figures(pair["sigma_ratio"]), _both(pair["jaccard"]),
             _both(pair["delta_vcs"])) for pair in comparison["matching"]]
    return Table(("direction", "|cosine|", "σ ratio", "tokens shared (+, −)", "change of VCS (+, −)"), rows)


def _both(poles: dict[str, float | None]) -> str:
    return ", ".join(figures(poles.get(sign)) for sign in "+-")


@dataclass(frozen=True)
class Fate:
    """What became of a pole of the base.

    Attributes:
      tone: in which colour the label is printed.
      numbers: recovery, cohesion in either head, median rank.
    """

    direction: int
    pole: str
    label: str
    tone: str
    numbers: tuple[str, ...]
    tokens: tuple[Token, ...]


def persistence(comparison: Facts) -> list[Fate]:
    """One entry a pole of the base."""
    return [Fate(entry["direction"], _pole_name(entry), entry["label"], TONES[entry["label"]],
                 tuple(figures(entry[key], 4) for key in ("recovery", "cohesion_base", "cohesion_tuned", "median_rank")),
                 tokens(entry["ids"], entry["tokens"])) for entry in comparison["persistence"]]


def new_poles(comparison: Facts) -> Table:
    """Poles of the tuned head that match none of the base and hang together."""
    rows: list[tuple[Cell, ...]] = [(_pole_name(entry), figures(entry["vcs_z"]), tokens(entry["ids"], entry["tokens"]))
                                    for entry in comparison["new"]]
    return Table(("pole", "z", "tokens"), rows)


def movers(comparison: Facts) -> tuple[Table, Table]:
    """The tokens whose rows changed most: those seen at once, and the rest."""
    rows: list[tuple[Cell, ...]] = [(Token(entry["id"], entry["token"]), figures(entry["change"]), figures(entry["cos"], 4))
                                    for entry in comparison["movers"]]
    columns = ("token", "‖Δw‖", "cosine")
    return Table(columns, rows[:AT_ONCE]), Table(columns, rows[AT_ONCE:])


def delta(comparison: Facts) -> list[Direction]:
    """The directions of the change itself; none where nothing changed."""
    found = comparison["delta"]
    return directions(found["directions"], found["spectrum"]) if found else []


def _pole_name(entry: Facts) -> str:
    return f"{entry['direction']} {entry['pole'].replace('-', '−')}"
