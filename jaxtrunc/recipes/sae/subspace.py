"""`jaxtrunc sae subspace`: from the chosen features of a site to an orthonormal basis, and how it compares with its controls."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrunc.core import environment
from jaxtrunc.core.progress import say
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.recipes.sae.chosen import Chosen, check_base, read_chosen
from jaxtrunc.recipes.sae.controls import raw_controls, shuffled_subspace
from jaxtrunc.recipes.sae.results import own_run, write_results
from jaxtrunc.recipes.sae.settings import SubspaceSettings
from jaxtrunc.sae.bundle import SubspaceBundle, write_bundle
from jaxtrunc.sae.recovery import recovery_error
from jaxtrunc.sae.sites import Site, parse_site, writers
from jaxtrunc.sae.subspace import subspace as span

SHUFFLES = 5
LOADINGS = 5  # features named of each column


def subspace(ref: str, site: str, out: Path, settings: SubspaceSettings) -> None:
    """Write `out`/subspace/SITE.npz and SITE.json; nothing of the base model is read.

    Raises:
      InputError: no features at the site, those of another base model, a rank that they do not span, or the subspace is there.
    """
    subspace_on(ref, parse_site(site), own_run(out), settings, resume=False)
    write_results(out)


def subspace_on(ref: str, site: Site, run: RunDir, settings: SubspaceSettings, *, resume: bool) -> None:
    """The same without results; with `resume` a subspace that is there stays."""
    writers(site)
    chosen, artefact = read_chosen(run, site), f"subspace/{site}.json"
    check_base(run, site, ref)
    run.check_free(artefact, resume=resume)
    found = spanned(chosen, settings)
    with run.lock():
        run.begin(f"sae subspace {site}", artefact, {"base_model": ref, "subspace": dataclasses.asdict(settings),
                                                     "environment": environment.describe()}, resume=resume,
                  fixed=("base_model", "subspace"))
        if run.is_finished(artefact):
            say(f"subspace: {run / artefact} is there already")
            return
        facts = compared(run, chosen, found)
        write_bundle(run / f"subspace/{site}", found, facts)
        for ending in ("npz", "json"):
            run.seal(f"subspace/{site}.{ending}")
    for warning in found.warnings:
        say(f"warning: {warning}")
    say(f"subspace: {run / artefact} (rank {found.rank}, q {found.q}, {found.variance:.1%} of the energy, "
        f"E to shuffled features {facts['e_shuffled']:.2f})")


def spanned(chosen: Chosen, settings: SubspaceSettings) -> SubspaceBundle:
    """The subspace of the chosen features."""
    weights = chosen.selection.delta if settings.weighting == "delta" else None
    index = chosen.selection.index
    return span(chosen.rows(index), weights, settings.rank, settings.tau, settings.center, chosen.origin(index))


def compared(run: RunDir, chosen: Chosen, bundle: SubspaceBundle) -> dict[str, Any]:
    """Recovery errors to shuffled features (mean of several draws) and to the raw baselines, and what each column is made of."""
    errors = [recovery_error(bundle.u, shuffled_subspace(chosen, bundle.settings, seed)) for seed in range(SHUFFLES)]
    return {"e_shuffled": float(np.mean(errors)), "e_shuffled_draws": errors, "e_most": float(np.sqrt(2 * bundle.rank)),
            "e_controls": {name: recovery_error(bundle.u, u) for name, u in raw_controls(run, chosen.site, bundle).items()},
            "columns": loadings(chosen, bundle)}


def loadings(chosen: Chosen, bundle: SubspaceBundle) -> list[list[dict[str, Any]]]:
    """Of each column of U the features that make most of it: signed shares of (weighted unit row · column), of norm 1 together."""
    rows = chosen.rows(bundle.features)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True) * bundle.weights[:, None]
    parts = (rows - rows.mean(axis=0) if bundle.settings["center"] else rows) @ bundle.u
    parts = parts / np.maximum(np.linalg.norm(parts, axis=0), 1e-30)
    orders = np.argsort(-np.abs(parts), axis=0, kind="stable")[:LOADINGS]
    return [[{"feature": int(bundle.features[i]), "loading": float(parts[i, column])} for i in orders[:, column]]
            for column in range(parts.shape[1])]
