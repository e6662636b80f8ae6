"""The chosen features of every site, each with its numbers, tokens, contexts and neighbours."""

from dataclasses import dataclass
from typing import Any

from jaxtrunc.report.lens.cells import figures
from jaxtrunc.report.wording import NONE, number

FIRST = 12  # features whose line is shown before the rest is folded


@dataclass(frozen=True)
class Feature:
    """One feature in words; `contexts` are (class, [(value, before, token, after)])."""

    index: int
    label: str
    scores: tuple[tuple[str, str], ...]
    top: tuple[str, ...]
    bottom: tuple[str, ...]
    nearest: str
    contexts: tuple[tuple[str, tuple[tuple[str, str, str, str], ...]], ...]

    @property
    def line(self) -> str:
        """The numbers in one line."""
        return " · ".join(f"{name} {value}" for name, value in self.scores)


def features(results: dict[str, Any]) -> list[tuple[str, list[Feature]]]:
    """Site → its features, in the order of their score."""
    return [(site, _of_site(facts)) for site, facts in results["features"].items()]


def _of_site(facts: dict[str, Any]) -> list[Feature]:
    described = {entry["index"]: entry for entry in facts.get("described", ())}
    return [_feature(row, described.get(row["index"], {}), facts["labels"].get(str(row["index"]), {})) for row in facts["features"]]


def _feature(row: dict[str, Any], described: dict[str, Any], label: dict[str, Any]) -> Feature:
    densities = [f"{number(100 * row[key], 2)} %" for key in ("density_aligned", "density_unaligned")]
    scores = [("Δ", figures(row["delta"])), ("more active when", {1: "aligned", -1: "unaligned"}.get(row["sign"], NONE)),
              ("mean aligned", figures(row["mean_aligned"])), ("unaligned", figures(row["mean_unaligned"])),
              ("fires on", " and ".join(densities) + " of tokens"),
              ("t", figures(row["t"]))]
    scores += [("p", figures(row["p_max"]))] if row.get("p_max") is not None else []
    words = label.get("label") or described.get("explanation", "")
    words += " (left out)" if label.get("keep", True) is False else ""
    tokens = described.get("tokens", {"top": [], "bottom": []})
    beside = ", ".join(f"{near['feature']} ({number(near['cosine'], 2)})" for near in described.get("nearest", ()))
    contexts = tuple((name, tuple((figures(found["value"]), found["before"], found["token"], found["after"]) for found in places))
                     for name, places in described.get("contexts", {}).items())
    return Feature(row["index"], words.strip(), tuple(scores), tuple(found["token"] for found in tokens["top"]),
                   tuple(found["token"] for found in tokens["bottom"]), beside or NONE, contexts)
