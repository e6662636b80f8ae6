"""report.md: the tables of the page in Markdown; tokens and contexts can break none of it."""

from typing import Any

from jaxtrunc.report.lens.cells import Table
from jaxtrunc.report.lens.markdown import bullets, escape, grid, section
from jaxtrunc.report.sae import tables
from jaxtrunc.report.sae.cautions import CAUTIONS, findings
from jaxtrunc.report.sae.features import Feature, features

CONTEXTS = 3  # of each class; results.json and the page have all


def as_markdown(results: dict[str, Any], title: str) -> str:
    """The whole report but its plot."""
    parts = [f"# {escape(title)}", bullets(CAUTIONS), section("Warnings", results["warnings"]),
             section("What the numbers say", findings(results)), grid("Autoencoders", tables.saes(results)),
             grid("Subspaces", tables.subspaces(results)), grid("Kinds of adapters", tables.groups(results)),
             grid("Adapters", tables.adapters(results)), grid("Sets of prompts", tables.sets(results)),
             grid("Causal check", tables.steering(results))]
    parts += [_features(site, found) for site, found in features(results)]
    parts += [grid(f"Columns of U at {table.title}", table) for table in tables.columns(results)]
    parts += [grid(f"After training: {table.title}", table) for table in tables.after_training(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _features(site: str, found: list[Feature]) -> str:
    rows = [(f"{feature.index} {feature.label}".strip(), feature.line, " ".join(feature.top), " ".join(feature.bottom),
             feature.nearest, _contexts(feature)) for feature in found]
    head = ("feature", "numbers", "raises", "lowers", "nearest", "contexts")
    return grid(f"Features of {site}", Table(head, [tuple(_flat(cell) for cell in row) for row in rows]))


def _contexts(feature: Feature) -> str:
    return "; ".join(f"{name}: " + " | ".join(f"{before}[{token}]{after}" for _, before, token, after in places[:CONTEXTS])
                     for name, places in feature.contexts if places)


def _flat(text: str) -> str:
    """No line breaks, which would end the row."""
    return " ".join(text.split())
