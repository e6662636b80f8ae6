"""report.md: the same tables in Markdown, to be put into an issue or a review, with tokens that can break none of it."""

import html
import re
from collections.abc import Iterable

from jaxtrunc.report.lens import comparison, directions, summary, tables
from jaxtrunc.report.lens.cells import Cell, Facts, Table, Token

# What can begin markup inside a line, a link made of bare text or a mention among it; and what makes a line a list or a heading.
_MARKUP = re.compile(r"[\\`*_{}\[\]|~!@$^#]|:(?=\S)|(?<=www)\.|^[-+=](?=\s|$)|(?<=^\d)[.)]", re.IGNORECASE)
_ENTITY = re.compile(r"(&(?:amp|lt|gt);)")


def escape(text: str) -> str:
    r"""Text that Markdown shows as it is: `&`, `<`, `>` as entities, a backslash before the signs that would be markup."""
    parts = _ENTITY.split(html.escape(text, quote=False))
    return "".join(part if _ENTITY.fullmatch(part) else _MARKUP.sub(r"\\\g<0>", part) for part in parts)


def as_markdown(facts: Facts) -> str:
    """The whole report but its plots."""
    parts = [f"# Vocabulary lens: {escape(summary.headline(facts))}", *_opening(facts),
             grid("The head", tables.provenance(facts)), grid("Spectrum", tables.spectrum(facts)),
             grid("Directions", directions.as_table(directions.directions(facts["directions"], facts["spectrum"])))]
    parts += [grid(head.title, Table(head.columns, [*head.rows, *rest.rows], note=head.note))
              for head, rest in tables.glitch_lists(facts)]
    parts += [grid("Rows that are bit for bit the same", tables.duplicates(facts)), _groups(facts)]
    parts += [*_compared(facts), _worksheet(facts)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _opening(facts: Facts) -> list[str]:
    gates = [f"{'crossed' if crossed else 'held'}: {gate} (found {value})" for gate, value, crossed in tables.gates(facts)]
    return [bullets(facts["caveats"]), section("Warnings", facts["warnings"]), section("Gates", gates),
            section("What the numbers say", summary.sentences(facts))]


def _groups(facts: Facts) -> str:
    rows: list[tuple[Cell, ...]] = [(group.name, group.meaning, group.ids, group.tokens) for group in tables.groups(facts)]
    return grid("Tokens with reasons of their own", Table(("group", "meaning", "ids", "tokens"), rows))


def _compared(facts: Facts) -> list[str]:
    found = facts["comparison"]
    if not found:
        return []
    poles: list[tuple[Cell, ...]] = [(fate.pole, fate.label, *fate.numbers, fate.tokens) for fate in comparison.persistence(found)]
    columns = ("pole", "label", "recovery", "cohesion, base", "cohesion, tuned", "median rank", "tokens")
    movers = comparison.movers(found)
    return [f"## The tuned head\n\n{escape(found['heads'])}", grid("", comparison.sources(found)),
            grid("Both spectra", comparison.spectra(facts["spectrum"], found["spectrum"])),
            grid("Principal angles", comparison.angles(found)), grid("Matching of directions", comparison.matching(found)),
            grid("Persistence", Table(columns, poles)), grid("New poles", comparison.new_poles(found)),
            grid("Movers", Table(movers[0].columns, [*movers[0].rows, *movers[1].rows])),
            grid("Directions of the change", directions.as_table(comparison.delta(found)))]


def _worksheet(facts: Facts) -> str:
    causes = [f"- [ ] {escape(cause)}\n" + "".join(f"  - {escape(sentence)}\n" for sentence in evidence)
              for cause, evidence in tables.worksheet(facts)]
    return "## Root causes: a person chooses\n\n" + "".join(causes).rstrip()


def section(title: str, sentences: list[str]) -> str:
    """A heading and its sentences as a list; nothing without sentences."""
    return f"## {title}\n\n{bullets(sentences)}" if sentences else ""


def bullets(sentences: Iterable[str]) -> str:
    """A list, every sentence escaped."""
    return "\n".join(f"- {escape(sentence)}" for sentence in sentences)


def grid(title: str, table: Table) -> str:
    """A table under its heading; nothing without rows."""
    if not table.rows:
        return ""
    lines = [_line(table.columns), _line(["---"] * len(table.columns), plain=True), *map(_line, table.rows)]
    parts = [f"## {escape(title)}" if title else "", "\n".join(lines), escape(table.note)]
    return "\n\n".join(part for part in parts if part)


def _line(cells: Iterable[Cell], plain: bool = False) -> str:
    return "| " + " | ".join(str(cell) if plain else _cell(cell) for cell in cells) + " |"


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return escape(cell)
    if isinstance(cell, Token):
        note, kind = f" {cell.note}" if cell.note else "", f" {cell.kind}" if cell.kind else ""
        return escape(f"{cell.isolated} {cell.id}{note}{kind}" if cell.isolated is not None else f"{cell.id}{note}{kind}")
    return ", ".join(map(_cell, cell))
