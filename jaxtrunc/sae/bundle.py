"""A subspace as it is kept: NAME.npz with its arrays, NAME.json with its facts and the hash that ties the two together."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.jsonio import dumps, read_json, write_json
from jaxtrunc.sae.arrays import read_arrays, write_arrays

FORMAT = 1
ARRAYS = ("u", "singular_values", "features", "weights")
CLOSE = 1.05
"""Below this σ_r/σ_{r+1} the r-th direction is hardly better determined than the next."""


@dataclass(frozen=True)
class Origin:
    """Where the rows of a subspace came from.

    Attributes:
      site: name of the site, such as `resid_post.3`.
      sae: what identifies the SAE.
      features: index of every row in the dictionary; empty where the rows are no features.
    """

    site: str = ""
    sae: str = ""
    features: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class SubspaceBundle:
    """An orthonormal basis and how it was made.

    Attributes:
      u: the basis, float32.
      singular_values: all of those of the (weighted, centred) rows, descending, float64.
      features: index of every row in the dictionary, or empty.
      weights: what each unit row was multiplied by.
      settings: rank, tau, weighting ("delta" or "none"), center.
      q: least number of components that hold the share tau of Σσ².
      variance: share of Σσ² held by the first r.
      sigma_ratio: σ_r/σ_{r+1}; None if nothing is left after r.
    """

    u: Float[np.ndarray, "d r"]
    singular_values: Float[np.ndarray, " p"]
    features: Int[np.ndarray, " m"]
    weights: Float[np.ndarray, " m"]
    q: int
    variance: float
    sigma_ratio: float | None
    site: str = ""
    sae: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def rank(self) -> int:
        """Columns of U."""
        return self.u.shape[1]

    @property
    def config_hash(self) -> str:
        """SHA-256 of everything that determines U: settings, site, SAE, features and weights."""
        made_of = {"settings": self.settings, "site": self.site, "sae": self.sae, "features": self.features,
                   "weights": self.weights}
        return hashlib.sha256(dumps(made_of).encode()).hexdigest()

    @property
    def warnings(self) -> list[str]:
        """Sentences for the report; empty if there is nothing to say."""
        if self.sigma_ratio is None or self.sigma_ratio >= CLOSE:
            return []
        return [f"subspace {self.site}: σ_{self.rank}/σ_{self.rank + 1} = {self.sigma_ratio:.3f} is below {CLOSE}: the last "
                "direction is hardly better determined than the one left out"]

    def facts(self) -> dict[str, Any]:
        """What the JSON file says."""
        kept = {key: value for key, value in vars(self).items() if key not in ARRAYS}
        return {"format": FORMAT, "rank": self.rank, "d": self.u.shape[0], "rows": len(self.weights), **kept,
                "config_hash": self.config_hash, "u_hash": _hash(self.u), "warnings": self.warnings}


def write_bundle(stem: Path, bundle: SubspaceBundle, more: Mapping[str, Any] | None = None) -> None:
    """Write STEM.npz and STEM.json (dots in the last name are part of it); each appears whole, the JSON last.

    Args:
      more: facts that are kept beside those of the bundle.
    """
    write_arrays(stem, {key: getattr(bundle, key) for key in ARRAYS})
    write_json(_facts_file(stem), {**(more or {}), **bundle.facts()})


def read_bundle(stem: Path) -> SubspaceBundle:
    """Read what `write_bundle` wrote.

    Raises:
      InputError: a file is missing, damaged or of another format, or the two do not belong together.
    """
    facts_file = _facts_file(stem)
    facts = read_json(facts_file)
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise InputError(f"{facts_file}: expected a subspace of format {FORMAT}; build it again with this version")
    arrays = read_arrays(stem, ARRAYS)
    if facts.get("u_hash") != _hash(arrays["u"]):
        raise InputError(f"{facts_file}: key 'u_hash' is not that of U in {stem.name}.npz; build the subspace again")
    try:
        kept = {key: facts[key] for key in ("q", "variance", "sigma_ratio", "site", "sae", "settings")}
    except KeyError as error:
        raise InputError(f"{facts_file}: key {error} is missing; build the subspace again") from None
    return SubspaceBundle(**arrays, **kept)


def _facts_file(stem: Path) -> Path:
    return stem.with_name(f"{stem.name}.json")


def _hash(u: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(u, np.float32).tobytes()).hexdigest()
