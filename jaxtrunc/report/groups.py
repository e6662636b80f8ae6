"""The cells (class, attribute) of a study at base, FT and k*: where accuracy was lost or won."""

from dataclasses import dataclass

from jaxtrunc.report import study, wording
from jaxtrunc.report.study import Estimate, Record, Results

ENDS = ("base", "FT", "k*")


@dataclass(frozen=True)
class GroupTable:
    """One attribute's cells: a row per cell (`name`, n, then accuracy at base, FT and k*) and the gap under each."""

    attribute: str
    rows: list[tuple[str, ...]]
    gaps: tuple[str, ...]


def group_tables(results: Results) -> list[GroupTable]:
    """A table per attribute, the primary one first; none where the records hold no groups."""
    ends = [study.endpoint(results, "base"), study.endpoint(results, "ft"), study.selected_record(results)]
    names = list((ends[1] or {}).get("per_attribute") or {})
    return [_table(name, ends) for name in names]


def _table(attribute: str, ends: list[Record | None]) -> GroupTable:
    blocks = [((end or {}).get("per_attribute") or {}).get(attribute) or {} for end in ends]
    cells = [{_name(group): group for group in block.get("groups") or []} for block in blocks]
    names = list(dict.fromkeys(name for column in cells for name in column))
    rows = [(name, str(_first(cells, name)["n"]), *(_accuracy(column.get(name)) for column in cells)) for name in names]
    gaps = tuple(wording.rate(study.metric("gap")(block), signed=True) for block in blocks)
    return GroupTable(attribute, rows, gaps)


def _first(cells: list[dict[str, dict]], name: str) -> dict:
    return next(column[name] for column in cells if name in column)


def _name(group: dict) -> str:
    values = ", ".join(f"{key} = {value}" for key, value in group["attributes"].items())
    return f"{group['label']}, {values}"


def _accuracy(group: dict | None) -> str:
    if group is None or group["accuracy"] is None:
        return wording.NONE
    low, high = group["interval"] or (None, None)
    return wording.rate(Estimate(group["accuracy"], low, high))
