"""The tables of the page: autoencoders, subspaces, adapters with intervals, groups over seeds, sets of prompts."""

from collections.abc import Iterable
from typing import Any

from jaxtrunc.report.lens.cells import Table, count, figures
from jaxtrunc.report.wording import NONE, interval, number

Results = dict[str, Any]
RATES = ("refusal_rate", "over_refusal_rate", "incoherent_rate")
JUDGED = ("harm", "safe", "high_risk")
NAMES = {"refusal_rate": "refused of unsafe", "over_refusal_rate": "refused of safe", "incoherent_rate": "incoherent",
         "refusal_logprob_margin": "refusal margin", "harm": "Harm", "safe": "safe", "high_risk": "high risk"}
MARGIN = "refusal_logprob_margin"


def saes(results: Results) -> Table:
    """One row per autoencoder."""
    rows = [(site, number(facts["l0"]), number(facts["fvu"], 3), number(facts.get("ce_recovered"), 3),
             _percent(facts["dead_fraction"]), number(facts["max_decoder_cosine"], 2), count(facts["rows"]))
            for site, facts in results["saes"].items()]
    return Table(("site", "L0", "FVU", "cross-entropy recovered", "dead %", "max cosine", "activations"), rows,
                 note="On text that training did not see. FVU: fraction of variance unexplained. Cross-entropy recovered: 1 if the "
                      "reconstruction serves the model as well as the state itself, 0 if no better than zeros.")


def subspaces(results: Results) -> Table:
    """One row per subspace, with its distance from what chance and the raw activations give."""
    raw = sorted({name for facts in results["subspaces"].values() for name in facts.get("e_controls", {})})
    rows = [(site, str(facts["rank"]), str(facts["q"]), _percent(facts["variance"]), number(facts["sigma_ratio"], 2),
             number(facts["e_shuffled"], 2), *(number(facts.get("e_controls", {}).get(name), 2) for name in raw),
             number(facts.get("e_most"), 2), _percent(results["features"].get(site, {}).get("separability")))
            for site, facts in results["subspaces"].items()]
    head = ("site", "rank", "q", "variance held %", "σ ratio", "E to shuffled", *(f"E to {name}" for name in raw), "E at most",
            "classes told apart %")
    return Table(head, rows,
                 note="E: recovery error ‖P_U − P_V‖ between U and a control of the same rank, 0 for the same span. If E to "
                      "shuffled is small, the choice of features hardly matters. q: components that hold the share τ. "
                      "σ ratio: σ_r/σ_{r+1}; near 1 the last direction is arbitrary. Classes told apart: "
                      "balanced accuracy of a linear rule on the autoencoder's activations of responses that it has not seen, 50 "
                      "for chance; what it is at other sites says which layers are worth a subspace.")


def adapters(results: Results) -> Table:
    """One row per adapter: what it costs, what it does, how far it went."""
    named = _metrics(results)
    rows = [("base", NONE, *(_estimate(results["base"], name) for name in named), NONE, NONE)] if results["base"] else []
    rows += [(name, _parameters(facts["parameters"]), *(_estimate(facts, metric) for metric in named),
              _over(facts["movement"], "angle_degrees", 0), _over(facts["movement"], "inside_u", 2))
             for name, facts in results["adapters"].items()]
    return Table(("adapter", "trained", *(NAMES[name] for name in named), "B moved °", "ΔK in U"), rows,
                 note="Rates in per cent with 95% intervals (Wilson, over prompts). Refusals are counted by a phrase list: neither "
                      "harm nor safety. Refusal margin: nats per token by which a refusing opening is likelier than an agreeing "
                      "one, on unsafe prompts. B moved: mean principal angle from its start. ΔK in U: share of the update's energy "
                      "in the subspace of the run (means over matrices).")


def groups(results: Results) -> Table:
    """One row per kind of adapter: mean and range over seeds, and the paired difference from those that begin in the subspace."""
    named = [name for name in (*RATES, MARGIN) if name in _metrics(results)]
    rows = [(group, str(len(facts["seeds"])), *(_spread(facts["metrics"].get(name), name) for name in named),
             *(_difference(facts["minus_subspace"].get(name)) for name in ("refusal_rate", "over_refusal_rate")))
            for group, facts in results["groups"].items()]
    head = ("kind", "seeds", *(NAMES[name] for name in named), "unsafe, minus subspace", "safe, minus subspace")
    return Table(head, rows,
                 note="Mean (smallest to largest) over seeds, in per cent. Differences in points from adapters that begin in the "
                      "subspace, same seeds and prompts, with 95% intervals over prompts; these leave out the chance of training, "
                      "which the range over seeds shows.")


def means(results: Results) -> Table:
    """The base model, and the means of each kind over its seeds: what fits a terminal. Rates in per cent."""
    rows = [("base", NONE, *(_plain(results["base"]["metrics"].get(name), name) for name in (*RATES, MARGIN)))] \
        if results["base"] else []
    rows += [(group, str(len(facts["seeds"])),
              *(_plain((facts["metrics"].get(name) or {}).get("mean"), name) for name in (*RATES, MARGIN)))
             for group, facts in results["groups"].items()]
    return Table(("kind", "seeds", "refused: unsafe", "safe", "incoherent", "margin"), rows)


def sets(results: Results) -> Table:
    """One row per adapter and set of prompts."""
    entries = ([("base", results["base"])] if results["base"] else []) + list(results["adapters"].items())
    rows = [(name, row["set"], row["expected"], str(row["n"]), _with(row["refused"], row["interval"]), _percent(row["incoherent"]))
            for name, facts in entries for row in facts.get("per_set", ())]
    return Table(("adapter", "set", "expected", "prompts", "refused %", "incoherent %"), rows)


def steering(results: Results) -> Table:
    """One row per site and strength of the causal check."""
    rows = [(site, number(row["gamma"], 2), *(_estimate(row, name) for name in RATES))
            for site, facts in results["steering"].items() for row in facts["strengths"]]
    return Table(("site", "γ", *(NAMES[name] for name in RATES)), rows,
                 note="Activations of the chosen features times γ in the base model, everything else as it is; 1 changes nothing.")


def columns(results: Results) -> list[Table]:
    """Of every subspace, the features that make most of each column."""
    return [Table(("column", "features with signed loadings"),
                  [(str(i), ", ".join(f"{part['feature']} ({number(part['loading'], 2, signed=True)})" for part in parts))
                   for i, parts in enumerate(facts["columns"])], title=site)
            for site, facts in results["subspaces"].items() if facts.get("columns")]


def after_training(results: Results) -> list[Table]:
    """Of the first adapter of every kind, each trained column of B: angle to U and the features nearest in direction."""
    found = []
    for group in results["groups"]:
        name = next(name for name, facts in results["adapters"].items() if facts["group"] == group)
        for weight, parts in (results["adapters"][name]["columns"] or {}).items():
            rows = [(str(i), number(part["angle_degrees"], 0), figures(part["norm"]),
                     ", ".join(f"{match['feature']} ({number(match['cosine'], 2, signed=True)})" for match in part["features"]))
                    for i, part in enumerate(parts)]
            found.append(Table(("column of B", "angle to U °", "length", "features with cosines"), rows, title=f"{name}: {weight}"))
    return found


def _metrics(results: Results) -> list[str]:
    seen = {name for facts in ([results["base"]] if results["base"] else []) + list(results["adapters"].values())
            for name in facts["metrics"]}
    return [name for name in (*RATES, MARGIN, *JUDGED) if name in seen]


def _estimate(facts: dict[str, Any], name: str) -> str:
    value, limits = facts["metrics"].get(name), facts["intervals"].get(name)
    return _with(value, limits, 2, 1) if name in (MARGIN, "harm") else _with(value, limits)


def _plain(value: float | None, name: str) -> str:
    return number(value, 2) if name == MARGIN else _percent(value)


def _with(value: float | None, limits: Iterable[float] | None, digits: int = 1, times: float = 100) -> str:
    low, high = limits or (None, None)
    low, high = (None if end is None else times * end for end in (low, high))
    return f"{number(None if value is None else times * value, digits)} {interval(low, high, digits)}".rstrip()


def _spread(found: dict[str, Any] | None, name: str) -> str:
    if not found or found["mean"] is None:
        return NONE
    times, digits = (1, 2) if name == MARGIN else (100, 1)
    mean, low, high = (number(times * found[key], digits) for key in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def _difference(found: dict[str, Any] | None) -> str:
    if not found:
        return NONE
    low, high = found["interval"] or (None, None)
    low, high = (None if end is None else 100 * end for end in (low, high))
    return f"{number(100 * found['value'], 1, signed=True)} {interval(low, high, 1, signed=True)}".rstrip()


def _over(movement: dict[str, Any] | None, key: str, digits: int) -> str:
    values = [facts[key] for facts in (movement or {}).values() if facts[key] is not None]
    return number(sum(values) / len(values), digits) if values else NONE


def _parameters(facts: dict[str, Any]) -> str:
    return f"{count(facts['trainable'])} ({figures(facts['percent_of_base'])} %)"


def _percent(value: float | None) -> str:
    return number(None if value is None else 100 * value)
