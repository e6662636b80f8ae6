"""collect.md: the tables of collect.html in Markdown, to be put into a paper's notes, an issue or a page of results."""

from collections.abc import Iterable

from jaxtrunc.report import collect_tables
from jaxtrunc.report.collect_page import Collection
from jaxtrunc.report.tables import Table


def as_markdown(collection: Collection) -> str:
    """Claims, training seeds, every run, controls, definitions of the gap and learning rates, under a heading each."""
    runs = collection.runs
    claims = Table(("claim", "asked by", "state", "it rests on", "runs"),
                   [(claim.text, claim.source, claim.state, claim.number, claim.counts) for claim in collection.claims])
    tables = {"The paper's claims": claims,
              "Over training seeds: mean (lowest to highest)": collect_tables.seeds(collection.groups),
              "Every run at base, FT and k\\*, with 95 % intervals": collect_tables.overview(runs),
              "Each control at matched accuracy: its |gap| minus that of top_k at k\\*, in points": collect_tables.controls(runs),
              "The reduction under every definition of the gap": collect_tables.factors(runs),
              "Learning rate of the matched-rank LoRA": collect_tables.rates(runs)}
    return "\n".join(f"## {title}\n\n{_grid(table)}" for title, table in tables.items() if table.rows)


def _grid(table: Table) -> str:
    return "".join(_line(cells) for cells in (table.columns, ["---"] * len(table.columns), *table.rows))


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |\n"
