"""`jaxtrunc sae train`: an autoencoder of one site, trained on what the model computes while it reads a text."""

import dataclasses
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxtrunc.config import MeshSettings, from_mapping, override
from jaxtrunc.core import environment, jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.progress import say
from jaxtrunc.core.rundir import RunDir, sha256
from jaxtrunc.data.conversations import read_documents
from jaxtrunc.data.hashing import uniforms
from jaxtrunc.data.pieces import PieceStream, cut
from jaxtrunc.recipes.sae.activations import Activations, cross_entropy_recovered
from jaxtrunc.recipes.sae.base import Base, open_base, site_of
from jaxtrunc.recipes.sae.results import own_run, write_results
from jaxtrunc.sae.formats import save_sae
from jaxtrunc.sae.metrics import evaluate
from jaxtrunc.sae.sae import SAE
from jaxtrunc.sae.sharding import dictionary_mesh
from jaxtrunc.sae.sites import Site
from jaxtrunc.sae.training.loop import train_sae
from jaxtrunc.sae.training.settings import SAETraining

WIDER = 8  # latents over the width of the site
HELD_OUT = 0.05  # share of the documents
EVALUATED = 16  # batches of held-out text, at most
CHUNK = 1024  # activations that are compared at a time


@dataclass(frozen=True)
class TextSettings:
    """How the text is read.

    Attributes:
      context: tokens of a piece; documents are cut, none are joined.
      batch_size: pieces per pass.
    """

    context: int = 128
    batch_size: int = 16

    def __post_init__(self) -> None:
        """Refuse what no piece could have."""
        if self.context < 4 or self.batch_size < 1:
            raise InputError("sae: expected text.context of at least 4 and text.batch_size of at least 1, found "
                             f"{self.context} and {self.batch_size}")


@dataclass(frozen=True)
class TrainingConfig:
    """What the command line can say besides its flags: sae.KEY=VALUE, text.KEY=VALUE, mesh.KEY=VALUE."""

    sae: SAETraining = dataclasses.field(default_factory=SAETraining)
    text: TextSettings = dataclasses.field(default_factory=TextSettings)
    mesh: MeshSettings = dataclasses.field(default_factory=MeshSettings)


def train(ref: str, site: str, data: Path, out: Path, settings: dict[str, Any], overrides: tuple[str, ...], *,
          resume: bool) -> None:
    """Write `out`/sae/SITE.

    Args:
      settings: keys of `SAETraining`; `n` may be None: 8 times the width of the site.

    Raises:
      InputError: anything wrong with model, site, rows, settings, or what lies in `out`; RunFailed: the loss is not finite;
        Interrupted: stopped by a signal.
    """
    devices = from_mapping(TrainingConfig, override({"sae": {}}, overrides), "command line").mesh
    run, documents = own_run(out), read_documents(data)
    base = open_base(ref, devices)
    place = site_of(site, base)
    width = settings["n"] or WIDER * base.width(place)
    config = from_mapping(TrainingConfig, override({"sae": settings | {"n": width}}, overrides), "command line")
    train_on(base, place, documents, sha256(data), run, config.sae, config.text, resume=resume)
    write_results(out)


def train_on(base: Base, site: Site, documents: list[str], origin: str, run: RunDir, settings: SAETraining, text: TextSettings, *,
             resume: bool) -> None:
    """The same with everything opened; what is finished is left as it is when resuming."""
    training, held_out = _streams(base, documents, settings, text)
    artefact, verb = f"sae/{site}", f"sae train {site}"
    run.check_free(artefact, resume=resume)
    with run.lock():
        run.begin(verb, artefact, {"base_model": base.side.ref, "data": origin, "sae": dataclasses.asdict(settings),
                                   "text": dataclasses.asdict(text), "environment": environment.describe()},
                  resume=resume, fixed=("base_model", "data", "sae", "text"))
        if run.is_finished(artefact):
            say(f"SAE: {run / artefact} is there already")
            return
        found = train_sae(Activations(base, site, training), settings, run / f"training/{artefact}", d=base.width(site),
                          mesh=_dictionary(settings), resume=resume)
        found = dataclasses.replace(found, meta=tuple(sorted((found.facts | {"site": str(site), "model": base.side.ref}).items())))
        facts = measured(base, found, site, held_out)
        with run.stage(artefact) as staged:
            save_sae(staged, found)
            jsonio.write_json(staged / "metrics.json", facts)
    say(f"SAE: {run / artefact} (FVU {facts['fvu']:.3f}, L0 {facts['l0']:.1f}, dead {facts['dead_fraction']:.1%}, "
        f"cross-entropy recovered {facts['ce_recovered']:.3f})")


def measured(base: Base, sae: SAE, site: Site, held_out: PieceStream) -> dict[str, Any]:
    """What metrics.json holds: of documents that training did not see."""
    held_out.restore(0)
    batches = list(itertools.islice(held_out, min(EVALUATED, held_out.batches_per_epoch)))
    held_out.restore(0)
    source = Activations(base, site, held_out)
    rows = np.concatenate([next(source) for _ in batches])
    found = evaluate(sae, (rows[start:start + CHUNK] for start in range(0, len(rows), CHUNK))).facts()
    return found | cross_entropy_recovered(base, sae, site, batches)


def _streams(base: Base, documents: list[str], settings: SAETraining, text: TextSettings) -> tuple[PieceStream, PieceStream]:
    """Pieces to train on, and of other documents to measure on; which is which hangs on the document alone."""
    sides: dict[bool, list[str]] = {True: [], False: []}
    for document in documents:
        sides[uniforms(document)[0] < HELD_OUT].append(document)
    if not sides[True]:  # a few documents: the last is held out
        sides[True] = [sides[False].pop()] if len(sides[False]) > 1 else sides[False]
    rows = base.rows(text.batch_size)
    return tuple(PieceStream(cut(sides[side], base.chat.tokenizer, text.context), text.context, rows, settings.seed)
                 for side in (False, True))  # type: ignore[return-value]


def _dictionary(settings: SAETraining) -> Mesh | None:
    """All devices along the latents, where there are several and they divide."""
    count = jax.device_count()
    return dictionary_mesh() if count > 1 and settings.n % count == 0 else None
