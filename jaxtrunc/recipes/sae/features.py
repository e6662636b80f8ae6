"""`jaxtrunc sae features`: which features of an autoencoder tell aligned responses from unaligned ones."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxtrunc.config import MeshSettings, from_mapping, override
from jaxtrunc.core import environment
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.processes import fetch
from jaxtrunc.core.progress import progress, say
from jaxtrunc.core.rundir import RunDir, relative_to_run, sha256
from jaxtrunc.data.conversations import Conversation, read_pairs
from jaxtrunc.models import DecoderConfig, Execution, site_states
from jaxtrunc.recipes.sae.base import Base, open_base, site_of
from jaxtrunc.recipes.sae.contexts import Contexts, highest
from jaxtrunc.recipes.sae.pairs import PairBatch, Pairs
from jaxtrunc.recipes.sae.plugins import resolve
from jaxtrunc.recipes.sae.results import own_run, write_results
from jaxtrunc.recipes.sae.settings import FeatureSettings
from jaxtrunc.recipes.sae.words import logit_lens, nearest
from jaxtrunc.sae.arrays import write_arrays
from jaxtrunc.sae.formats import load_sae
from jaxtrunc.sae.sae import SAE, encode
from jaxtrunc.sae.selection import ClassSums, LabelPermutations, Pooled, Selection, Separability, pool, select
from jaxtrunc.sae.selection.store import write_features
from jaxtrunc.sae.sites import Site, writers

EXPLAINER = "features.explainer"
DESCRIBED = 256  # features; more than a person reads
CONTROLS = "controls"  # pooled raw activations of both classes, for the controls that know nothing of the dictionary


class Seen(NamedTuple):
    """What one batch leaves behind: nothing of the size tokens × latents."""

    pooled: Pooled
    raw: jax.Array  # (B, d) pooled activations before the encoder
    values: jax.Array
    places: jax.Array


@dataclasses.dataclass
class Collected:
    """What all batches leave behind."""

    sums: ClassSums
    contexts: Contexts
    permutations: LabelPermutations | None
    raw: dict[bool, list[np.ndarray]]
    separability: Separability = dataclasses.field(default_factory=Separability)


@dataclasses.dataclass(frozen=True)
class Devices:
    """What the command line can say besides its flags: mesh.KEY=VALUE."""

    mesh: MeshSettings = dataclasses.field(default_factory=MeshSettings)


def features(ref: str, site: str, pairs: Path, out: Path, settings: FeatureSettings, overrides: tuple[str, ...], *,
             sae: Path | None) -> None:
    """Write `out`/features/SITE.json and SITE.npz; the autoencoder is `sae`, else `out`/sae/SITE.

    Raises:
      InputError: anything wrong with model, site, rows, autoencoder or settings, or features of this site are there.
    """
    devices = from_mapping(Devices, override({}, overrides), "command line").mesh
    run, rows = own_run(out), read_pairs(pairs)
    base = open_base(ref, devices)
    place = site_of(site, base)
    features_on(base, place, rows, pairs, run, settings, sae or out / "sae" / str(place), resume=False)
    write_results(out)


def features_on(base: Base, site: Site, rows: list[Conversation], pairs: Path, run: RunDir, settings: FeatureSettings,
                folder: Path, *, resume: bool) -> None:
    """The same with everything opened; with `resume` features that are there stay."""
    sae, artefact = open_sae(folder, site, base), f"features/{site}.json"
    explain = resolve(settings.explainer, EXPLAINER)
    run.check_free(artefact, resume=resume)
    source = {"base_model": base.side.ref, "sae": relative_to_run(run.path, folder), "sae_id": sae.facts.get("id"),
              "pairs": sha256(pairs)}
    with run.lock():
        run.begin(f"sae features {site}", artefact, source | {
            "features": dataclasses.asdict(settings), "environment": environment.describe()}, resume=resume,
            fixed=("base_model", "sae_id", "pairs", "features"))
        if run.is_finished(artefact):
            say(f"features: {run / artefact} is there already")
            return
        stream = Pairs(base, rows, str(pairs), settings.max_tokens, settings.batch_size)
        collected = collect(base, sae, site, stream, settings)
        chosen = select(collected.sums, score=settings.score, budget=settings.budget, fraction=settings.fraction,
                        min_density=settings.min_density, permutations=collected.permutations)
        write(run, site, chosen, collected, source | {
            "settings": dataclasses.asdict(settings), "separability": collected.separability.accuracy,
            "described": describe(base, sae, chosen, collected, stream, explain)})
    say(f"features: {len(chosen)} of {sae.n} at {site}, in {run / artefact}")


def open_sae(folder: Path, site: Site, base: Base) -> SAE:
    """The autoencoder of a site that matrices write to, as wide as the model there.

    Raises:
      InputError: a damaged or unfit directory, `attn_z`, or another width.
    """
    writers(site)
    if not folder.exists():
        raise InputError(f"{folder}: no autoencoder there; train one with `jaxtrunc sae train --site {site}`, or give --sae")
    found = load_sae(folder, site=site)
    if found.d != base.width(site):
        raise InputError(f"{folder}: made for {found.d} numbers, {base.side.ref} has {base.width(site)} at {site}; give the "
                         "autoencoder of this model")
    return found


def collect(base: Base, sae: SAE, site: Site, pairs: Pairs, settings: FeatureSettings) -> Collected:
    """Everything that selection and report need, in one pass over the responses."""
    draws = LabelPermutations(pairs.labels, sae.n, settings.draws) if settings.draws else None
    found = Collected(ClassSums.empty(sae.n), Contexts(sae.n, settings.contexts), draws, {True: [], False: []})
    run = jax.jit(partial(_seen, cfg=base.cfg, site=str(site), execution=base.execution, mode=settings.pooling,
                          count=settings.contexts))
    sae = base.everywhere(sae)
    with progress(f"features of {site}", len(pairs)) as advance:
        for batch in pairs:
            arrays = (base.placed(array) for array in (batch.tokens, batch.lengths, batch.mask, batch.aligned))
            _take_in(found, jax.tree.map(fetch, run(base.params, sae, *arrays)), batch)
            advance()
    return found


def describe(base: Base, sae: SAE, chosen: Selection, found: Collected, pairs: Pairs,
             explain: Callable[[dict[str, Any]], str] | None) -> list[dict[str, Any]]:
    """For the report, of the first `DESCRIBED` chosen features: contexts of both classes, tokens, nearest features, explanation."""
    first = chosen.index[:DESCRIBED]
    columns = zip(first, logit_lens(base, np.asarray(sae.w_dec)[first]), nearest(sae, first), strict=True)
    facts = [{"index": int(index), "contexts": found.contexts.of(int(index), pairs.sequences, base.chat.tokenizer),
              "tokens": tokens, "nearest": beside} for index, tokens, beside in columns]
    return facts if explain is None else [entry | {"explanation": str(explain(entry))} for entry in facts]


def write(run: RunDir, site: Site, chosen: Selection, found: Collected, facts: dict[str, Any]) -> None:
    """SITE.controls.npz, SITE.npz, and SITE.json last."""
    stem = run / f"features/{site}"
    raw = {name: np.concatenate(found.raw[side]) for name, side in (("aligned", True), ("unaligned", False))}
    write_arrays(stem.with_name(f"{stem.name}.{CONTROLS}"), raw)
    write_features(stem, chosen, found.sums, facts)
    for ending in (f"{CONTROLS}.npz", "npz", "json"):
        run.seal(f"features/{site}.{ending}")


def _seen(params, sae: SAE, tokens: jax.Array, lengths: jax.Array, mask: jax.Array, aligned: jax.Array, *, cfg: DecoderConfig,
          site: str, execution: Execution, mode: str, count: int) -> Seen:
    states = site_states(params, cfg, tokens, lengths, (site,), execution)[site]
    activations = encode(sae, states)
    # `all` pools sums over tokens; the controls take one row per example, so the mean there
    raw = pool(states, mask, "last" if mode == "last" else "mean").value
    return Seen(pool(activations, mask, mode), raw, *highest(activations, mask, aligned, count))


def _take_in(found: Collected, seen: Seen, batch: PairBatch) -> None:
    found.separability.ask(found.sums, seen.pooled, batch.aligned)
    found.sums.add(seen.pooled, batch.aligned)
    found.contexts.add(np.asarray(seen.values), np.asarray(seen.places), batch)
    if found.permutations is not None:
        found.permutations.add(seen.pooled)
    counted = np.asarray(seen.pooled.tokens) > 0
    for side in (True, False):
        found.raw[side].append(np.asarray(seen.raw)[counted & (batch.aligned == side)])
