"""Selected features on disk: NAME.json for people and programs, NAME.npz with the class sums, so that any score can be redone."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.jsonio import read_json, write_json
from jaxtrunc.sae.arrays import read_arrays, write_arrays
from jaxtrunc.sae.selection.choose import Selection
from jaxtrunc.sae.selection.sums import ClassSums

FORMAT = 1
SUMS = tuple(field.name for field in fields(ClassSums))
COLUMNS = tuple(field.name for field in fields(Selection))
OPTIONAL = ("p", "p_max")


def write_features(stem: Path, selection: Selection, sums: ClassSums, facts: Mapping[str, Any]) -> None:
    """Write STEM.npz and STEM.json, the latter last; `facts` are the settings and the origin, kept as given."""
    write_arrays(stem, {name: getattr(sums, name) for name in SUMS})
    listed = {name: getattr(selection, name) for name in COLUMNS if getattr(selection, name) is not None}
    rows = [dict(zip(listed, values, strict=True)) for values in zip(*listed.values(), strict=True)]
    counts = {"n": sums.n, "units": sums.units, "tokens": sums.tokens, "classes": ["aligned", "unaligned"]}
    write_json(stem.with_name(f"{stem.name}.json"), {"format": FORMAT, **facts, **counts, "features": rows})


def read_features(stem: Path) -> tuple[Selection, ClassSums, dict[str, Any]]:
    """What `write_features` wrote: the selection, the sums, and all of the JSON file.

    Raises:
      InputError: a file is missing, damaged or of another format, or names a feature that the dictionary does not have.
    """
    file = stem.with_name(f"{stem.name}.json")
    facts = read_json(file)
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise InputError(f"{file}: expected selected features of format {FORMAT}; select again with this version")
    sums = _sums(stem)
    try:
        rows = facts["features"]
        columns = {name: np.array([_number(row[name]) for row in rows]) for name in COLUMNS
                   if name not in OPTIONAL or all(name in row for row in rows)}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: a row of 'features' is damaged ({error}); select again") from None
    columns |= {name: columns[name].astype(np.int64) for name in ("index", "sign")}
    if not rows or columns["index"].min() < 0 or columns["index"].max() >= sums.n:
        raise InputError(f"{file}: key 'features' must name features from 0 to {sums.n - 1}; select again")
    return Selection(**columns), sums, facts


def _sums(stem: Path) -> ClassSums:
    arrays = read_arrays(stem, SUMS)
    n = arrays["total"].size // 2
    for name, array in arrays.items():
        expected = (2,) if name in ("units", "tokens") else (2, n)
        if array.shape != expected:
            raise InputError(f"{stem}.npz: array '{name}' has shape {array.shape}, expected {expected}; select again")
    return ClassSums(**arrays)


def _number(value: Any) -> float:
    """JSON has no NaN and no infinity: t without a value is null there."""
    return float("nan") if value is None else float(value)
