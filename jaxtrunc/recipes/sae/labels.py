"""RUN/labels.json: what the user calls features, and which of them no subspace is to have.

The file: {SITE: {FEATURE: {"label": "…", "keep": false}}}, both keys optional.
"""

from typing import Any

import numpy as np
from jaxtyping import Int

from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.sae.sites import Site, parse_site

FILE = "labels.json"
Labels = dict[int, dict[str, Any]]


def read_labels(run: RunDir) -> dict[str, Labels]:
    """Site → feature → its entry; empty if there is no such file.

    Raises:
      InputError: what is no object of sites and features, with the name of the first that is wrong.
    """
    file = run / FILE
    said = jsonio.read_json(file) if file.exists() else {}
    if not isinstance(said, dict) or not all(isinstance(entries, dict) for entries in said.values()):
        raise InputError(f"{file}: expected an object of sites, each an object of features")
    return {_site(file, name): {_feature(file, name, key, entry): entry for key, entry in entries.items()}
            for name, entries in said.items()}


def dropped(run: RunDir, site: Site, chosen: Int[np.ndarray, " m"]) -> list[int]:
    """The features of a site that the file leaves out.

    Raises:
      InputError: the file is wrong, or speaks of a feature of this site that is not among the chosen ones.
    """
    mine = read_labels(run).get(str(site), {})
    strangers = sorted(set(mine) - set(chosen.tolist()))
    if strangers:
        raise InputError(f"{run / FILE}: {site}: feature {strangers[0]} is not among the {len(chosen)} that were chosen; take its "
                         f"number from features/{site}.json")
    return [feature for feature, entry in mine.items() if not entry.get("keep", True)]


def _site(file: Any, name: str) -> str:
    try:
        return str(parse_site(name))
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def _feature(file: Any, site: str, key: str, entry: Any) -> int:
    if not key.isdecimal() or not _is_entry(entry):
        raise InputError(f"{file}: {site}: {shown(key)}: expected a feature's number with 'label' (text) and 'keep' (true, false), "
                         f"found {shown(entry)}")
    return int(key)


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and not set(entry) - {"label", "keep"} and isinstance(entry.get("label", ""), str) and \
        isinstance(entry.get("keep", True), bool)
