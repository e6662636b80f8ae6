"""`jaxtrunc sae run`: rows, autoencoders, features, subspaces, adapters of every kind and seed, and the report, from one config."""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

from jaxtrunc.config import from_mapping, read_config
from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError, refuse_unknown_keys
from jaxtrunc.core.rundir import RunDir, sha256
from jaxtrunc.data.conversations import read_conversations, read_pairs, read_questions
from jaxtrunc.recipes.pair import located
from jaxtrunc.recipes.sae.adapt import AdaptConfig, Material, Request, adapt_on, adapter_name, measure_base, open_asker, settled
from jaxtrunc.recipes.sae.base import Base, open_base
from jaxtrunc.recipes.sae.config import SaeConfig
from jaxtrunc.recipes.sae.features import EXPLAINER, features_on, open_sae
from jaxtrunc.recipes.sae.layers import sites_named
from jaxtrunc.recipes.sae.plugins import resolve
from jaxtrunc.recipes.sae.report import announce
from jaxtrunc.recipes.sae.results import RESULTS, own_run, write_results
from jaxtrunc.recipes.sae.rows import RowFiles, open_rows
from jaxtrunc.recipes.sae.steer import check_gammas, steer_on
from jaxtrunc.recipes.sae.subspace import subspace_on
from jaxtrunc.recipes.sae.train import WIDER, TrainingConfig, train_on
from jaxtrunc.sae.selection.choose import BUDGET
from jaxtrunc.sae.sites import Site, parse_site, writers
from jaxtrunc.train.subspace_start import check_start


@dataclass(frozen=True)
class Planned:
    """One adapter of the run."""

    request: Request
    config: AdaptConfig


def run(config_path: Path, overrides: tuple[str, ...], out_path: Path | None, *, resume: bool) -> None:
    """Run a config file from beginning to end; with `resume`, from wherever it stopped.

    Raises:
      InputError: anything wrong with the config, its files, sites or adapters, all found out before anything is trained;
        RunFailed, Interrupted: as in the verbs.
    """
    config = read_config(config_path, overrides, SaeConfig)
    where, directory = str(config_path), config_path.parent
    out = own_run(out_path or Path(config.out_path or f"runs/{config.name}"))
    base = open_base(located(config.base_model, directory), config.mesh)
    sites = sites_named(config.sites, base)
    planned = plan(config, sites, where)
    _check(base, config, sites, planned, directory)
    training = {site: _training(config, base, site, where) for site in sites}
    out.check_free(RESULTS, resume=resume)
    rows = open_rows(config.data, directory, out, base.chat)
    material, pairs = _material(base, rows, planned), read_pairs(rows.pairs)
    out.note("sae run", {"config": dataclasses.asdict(config)})
    for site in sites:
        given = config.autoencoders.get(str(site))
        if given is None:
            train_on(base, site, list(rows.documents), _fingerprint(rows.documents), out, training[site].sae, training[site].text,
                     resume=resume)
        features_on(base, site, pairs, rows.pairs, out, config.features.with_preset(config.preset),
                    out / f"sae/{site}" if given is None else directory / given, resume=resume)
        subspace_on(base.side.ref, site, out, config.subspace.with_preset(config.preset), resume=resume)
    _steering(base, out, sites, config, planned[0].config, rows, material, resume=resume)
    _adapters(base, out, sites, planned, material, resume=resume)
    write_results(out.path)
    announce(out.path)


def plan(config: SaeConfig, sites: list[Site], where: str) -> list[Planned]:
    """Every adapter with its settings; `InputError` for any that could not be trained."""
    if not sites or not config.adapters or not config.seeds:
        raise InputError(f"{where}: expected at least one site, one adapter and one seed")
    for site in sites:
        writers(site)
    refuse_unknown_keys(config.autoencoders, map(str, sites), f"{where}: autoencoders")
    planned = []
    for entry in config.adapters:
        for seed in config.seeds:
            request = Request(entry.init, tuple(map(str, sites)), seed, config.preset, None, config.merge)
            values = {"adapt": config.adapt | entry.adapt, "train": config.train, "answers": config.answers}
            planned.append(Planned(request, settled(request, values, config.subspace.rank, where)))
    names = [adapter_name(one.request, one.config.adapt) for one in planned]
    if len(set(names)) < len(names):
        raise InputError(f"{where}: adapters: two of them would be called {max(names, key=names.count)}; leave one out")
    return planned


def _check(base: Base, config: SaeConfig, sites: list[Site], planned: list[Planned], directory: Path) -> None:
    """Raise `InputError` for what could otherwise fail only after hours of training."""
    resolve(config.features.explainer, EXPLAINER)
    if config.gammas:
        check_gammas(config.gammas)
    budget = None if config.features.with_preset(config.preset).fraction else config.features.budget or BUDGET
    if budget is not None and config.subspace.rank > budget:
        raise InputError(f"subspace: rank {config.subspace.rank} is above the {budget} features of a site; give a larger "
                         "features.budget, or a lower rank")
    for one in planned:
        check_start(base.cfg, map(str, sites), one.config.adapt, plain=one.request.init == "lora")
    for name, folder in config.autoencoders.items():
        open_sae(directory / str(folder), parse_site(name), base)


def _training(config: SaeConfig, base: Base, site: Site, where: str) -> TrainingConfig:
    return from_mapping(TrainingConfig, {"sae": {"n": WIDER * base.width(site)} | config.sae, "text": config.text}, where)


def _material(base: Base, rows: RowFiles, planned: list[Planned]) -> Material:
    asker = open_asker(base, read_questions(rows.questions), rows.questions, planned[0].config.answers)
    return Material(read_conversations(rows.train), rows.train, asker)


def _adapters(base: Base, out: RunDir, sites: list[Site], planned: list[Planned], material: Material, *, resume: bool) -> None:
    assert material.asker is not None  # a run always has questions
    measure_base(base, out, material.asker, planned[0].config.answers)
    for one in planned:
        adapt_on(base, out, sites, one.request, one.config, material, resume=resume)


def _steering(base: Base, out: RunDir, sites: list[Site], config: SaeConfig, settled: AdaptConfig, rows: RowFiles,
              material: Material, *, resume: bool) -> None:
    assert material.asker is not None
    for site in sites if config.gammas else ():
        steer_on(base, site, out, material.asker, sha256(rows.questions), settled.answers, config.gammas, resume=resume)


def _fingerprint(documents: tuple[str, ...]) -> str:
    """What the manifest says of a text that stands in no single file."""
    return hashlib.sha256(jsonio.dumps(list(documents)).encode()).hexdigest()
