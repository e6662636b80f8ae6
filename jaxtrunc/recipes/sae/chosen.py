"""The features of a run, read back: what was chosen at a site, from which autoencoder, and what the user says about it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.rundir import MANIFEST, RunDir
from jaxtrunc.recipes.sae.features import CONTROLS
from jaxtrunc.recipes.sae.labels import FILE, dropped
from jaxtrunc.sae.arrays import read_arrays
from jaxtrunc.sae.bundle import Origin
from jaxtrunc.sae.formats import load_sae
from jaxtrunc.sae.sae import SAE
from jaxtrunc.sae.selection import ClassSums, Selection
from jaxtrunc.sae.selection.store import read_features
from jaxtrunc.sae.sites import Site, parse_site


@dataclass(frozen=True)
class Chosen:
    """Features of one site, and what they are of."""

    site: Site
    selection: Selection
    sums: ClassSums
    sae: SAE
    facts: dict[str, Any]

    def rows(self, index: np.ndarray) -> np.ndarray:
        """Decoder rows of features."""
        return np.asarray(self.sae.w_dec)[index]

    def origin(self, index: np.ndarray) -> Origin:
        """Where a subspace of these features comes from."""
        return Origin(str(self.site), str(self.sae.facts.get("id", "")), tuple(int(i) for i in index))


def read_chosen(run: RunDir, site: Site, only: np.ndarray | None = None) -> Chosen:
    """The features of a site without those that labels.json leaves out.

    Args:
      only: the features to keep instead, whatever labels.json says by now.

    Raises:
      InputError: no features were chosen there, a file is damaged, or the autoencoder is not the one they are of.
    """
    stem = features_stem(run, site)
    selection, sums, facts = read_features(stem)
    folder = facts.get("sae")
    if not isinstance(folder, str):
        raise InputError(f"{stem}.json: key 'sae' does not say where the autoencoder is; choose the features again")
    sae = load_sae(_located(run, folder), site=site)
    if sae.facts.get("id") != facts.get("sae_id") or sae.n != sums.n:
        raise InputError(f"{folder}: is not the autoencoder that the features in {stem}.json are of; choose the features again")
    kept = ~np.isin(selection.index, dropped(run, site, selection.index)) if only is None else np.isin(selection.index, only)
    if not kept.any():
        raise InputError(f"{run / FILE}: leaves no feature of {site}; keep at least one")
    return Chosen(site, selection.kept(kept), sums, sae, facts)


def check_base(run: RunDir, site: Site, ref: str) -> None:
    """Raise `InputError` if the features of a site are those of another base model than `ref`."""
    file = features_stem(run, site).with_name(f"{site}.json")
    said = jsonio.read_json(file)
    model = said.get("base_model") if isinstance(said, dict) else None
    if model != ref and (not isinstance(model, str) or Path(model).resolve() != Path(ref).resolve()):
        raise InputError(f"{file}: the features are of {model}, not of {ref}; give that base model, or choose features of this one")


def read_raw(run: RunDir, site: Site) -> tuple[np.ndarray, np.ndarray]:
    """Pooled raw activations of the aligned and the unaligned responses, one row each."""
    stem = features_stem(run, site)
    arrays = read_arrays(stem.with_name(f"{stem.name}.{CONTROLS}"), ("aligned", "unaligned"))
    return arrays["aligned"], arrays["unaligned"]


def features_stem(run: RunDir, site: Site) -> Path:
    """RUN/features/SITE, which must be there."""
    if not (run / MANIFEST).exists() or not (run / f"features/{site}.json").exists():
        raise InputError(f"{run.path}: holds no features of {site}; run `jaxtrunc sae features --site {site}` first")
    return run / f"features/{site}"


def sites_of(run: RunDir, folder: str) -> list[Site]:
    """The sites that RUN/features or RUN/subspace has, by layer."""
    names = sorted(file.name.removesuffix(".json") for file in (run / folder).glob("*.json"))
    return sorted((parse_site(name) for name in names), key=lambda site: (site.layer, site.kind))


def _located(run: RunDir, folder: str) -> Path:
    """A path as `relative_to_run` wrote it."""
    return Path(folder) if Path(folder).is_absolute() else run / folder
