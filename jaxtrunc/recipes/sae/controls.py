"""The basis that an adapter begins in: the subspace of the run, or a control of the same width and rank."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.recipes.sae.chosen import Chosen, read_chosen, read_raw
from jaxtrunc.sae.baselines import cov_diff, mean_diff, pca_diff, random_u
from jaxtrunc.sae.bundle import SubspaceBundle, read_bundle
from jaxtrunc.sae.selection import shuffled
from jaxtrunc.sae.sites import Site
from jaxtrunc.sae.subspace import subspace


@dataclass(frozen=True)
class SiteBasis:
    """Orthonormal columns at a site, and the subspace of the run there, which reports compare with."""

    site: Site
    u: np.ndarray
    bundle: SubspaceBundle


def basis_of(run: RunDir, site: Site, init: str, seed: int) -> SiteBasis:
    """The basis of one control; rank and site are those of RUN/subspace/SITE.

    Raises:
      InputError: no subspace or features at the site, or too few rows for the rank.
    """
    bundle = read_subspace(run, site)
    return SiteBasis(site, bundle.u if init == "subspace" else _control(run, site, init, bundle, seed), bundle)


def read_subspace(run: RunDir, site: Site) -> SubspaceBundle:
    """RUN/subspace/SITE; `InputError` if there is none."""
    if not (run / f"subspace/{site}.json").exists():
        raise InputError(f"{run.path}: holds no subspace of {site}; run `jaxtrunc sae subspace --site {site}` first")
    return read_bundle(run / f"subspace/{site}")


def shuffled_subspace(chosen: Chosen, settings: dict[str, Any], seed: int) -> np.ndarray:
    """U of as many features at random, with the Δ of the chosen ones and the settings of their subspace."""
    drawn = shuffled(chosen.sums, chosen.selection, seed, float(chosen.facts["settings"]["min_density"]))
    weights = drawn.delta if settings["weighting"] == "delta" else None
    return subspace(chosen.rows(drawn.index), weights, settings["rank"], settings["tau"], settings["center"],
                    chosen.origin(drawn.index)).u


def _control(run: RunDir, site: Site, init: str, bundle: SubspaceBundle, seed: int) -> np.ndarray:
    d, rank = bundle.u.shape
    if init == "random_u":
        return random_u(d, rank, seed)
    if init == "shuffled":
        return shuffled_subspace(read_chosen(run, site, bundle.features), bundle.settings, seed)
    aligned, unaligned = read_raw(run, site)
    if init == "cov_diff":
        return cov_diff(aligned, unaligned, rank)
    return {"mean_diff": mean_diff, "pca_diff": pca_diff}[init](aligned, unaligned, rank, seed)


def raw_controls(run: RunDir, site: Site, bundle: SubspaceBundle) -> dict[str, np.ndarray]:
    """The raw baselines of rank r that can be made here, for comparison with U; those with too few responses are left out."""
    found = {}
    for init in ("mean_diff", "pca_diff", "cov_diff", "random_u"):
        try:
            found[init] = _control(run, site, init, bundle, 0)
        except InputError:  # too few responses for this rank
            continue
    return found
