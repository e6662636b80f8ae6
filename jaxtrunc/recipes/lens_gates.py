"""Thresholds that a release must not cross: `glitch>0.01,duplicates>0`."""

import re
from collections.abc import Sequence
from typing import Any

from jaxtrunc.core.errors import InputError, did_you_mean

_GATE = re.compile(r"\s*(?P<name>\w+)\s*>\s*(?P<limit>\d+(\.\d+)?([eE][-+]?\d+)?)\s*")
SHARES = {"glitch": "never_trained", "high_projection": "high_projection", "low_projection": "low_projection"}
COUNTS = ("duplicates", "zero_rows", "unreachable", "undecodable")
CHANGES = ("dissolved", "drifted", "new")
RELATIVE = "relative_change"


def parse_gates(text: str, *, compared: bool) -> list[tuple[str, float]]:
    """Name and limit of every gate.

    Names: glitch, high_projection, low_projection (shares of the tokens that are ranked), duplicates (groups), zero_rows,
    unreachable, undecodable; with a comparison also dissolved, drifted, new (poles) and relative_change.

    Raises:
      InputError: not of this form, or a name that is not known or needs a comparison.
    """
    known = (*SHARES, *COUNTS, *((*CHANGES, RELATIVE) if compared else ()))
    gates = []
    for part in filter(str.strip, text.split(",")):
        found = _GATE.fullmatch(part)
        if found is None:
            raise InputError(f"--fail-on: expected NAME>NUMBER, such as glitch>0.01,duplicates>0, found '{part.strip()}'")
        if found["name"] not in known:
            need = " needs --compare" if found["name"] in (*CHANGES, RELATIVE) else did_you_mean(found["name"], known)
            raise InputError(f"--fail-on: '{found['name']}' cannot be asked for here{need if need.startswith(';') else ':' + need}")
        gates.append((found["name"], float(found["limit"])))
    return gates


def judge(gates: Sequence[tuple[str, float]], facts: dict[str, Any]) -> list[dict[str, Any]]:
    """What was measured for each gate, and whether it was crossed; `facts` are those of lens.json."""
    return [{"gate": f"{name}>{limit:g}", "value": (value := _measured(name, facts)), "crossed": value > limit}
            for name, limit in gates]


def _measured(name: str, facts: dict[str, Any]) -> float:
    if name in SHARES:
        counts = facts["glitch"]["counts"]
        return counts[SHARES[name]] / max(counts["eligible"], 1)
    if name in COUNTS:
        return len(facts[name])
    return facts["comparison"][RELATIVE] if name == RELATIVE else facts["comparison"]["counts"][name]
