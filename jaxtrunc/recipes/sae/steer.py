"""`jaxtrunc sae steer`: the chosen features made stronger or weaker in the base model, and what it refuses then."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxtrunc.config import from_mapping, override
from jaxtrunc.core import environment, jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.progress import say
from jaxtrunc.core.rundir import RunDir, sha256
from jaxtrunc.data.conversations import read_questions
from jaxtrunc.evals.safety import safety_metrics
from jaxtrunc.recipes.sae.adapt import JUDGE, AdaptConfig, open_asker
from jaxtrunc.recipes.sae.answers import Asker
from jaxtrunc.recipes.sae.base import Base, open_base, site_of
from jaxtrunc.recipes.sae.chosen import check_base, read_chosen
from jaxtrunc.recipes.sae.plugins import resolve
from jaxtrunc.recipes.sae.results import own_run, write_results
from jaxtrunc.recipes.sae.settings import AnswerSettings
from jaxtrunc.sae.causal import scale_features
from jaxtrunc.sae.sites import Site


def steer(ref: str, site: str, questions: Path, out: Path, gammas: Sequence[float], overrides: tuple[str, ...]) -> None:
    """Write `out`/steering/SITE.json: refusals at every strength γ of the features in `out`/features/SITE.

    Raises:
      InputError: anything wrong with model, site, questions or features, or the file is there.
    """
    check_gammas(gammas)
    run, asked = own_run(out), read_questions(questions)
    config = from_mapping(AdaptConfig, override({}, overrides), "command line")
    settings, base = config.answers, open_base(ref, config.mesh)
    asker = open_asker(base, asked, questions, settings)
    assert asker is not None  # there are questions
    steer_on(base, site_of(site, base), run, asker, sha256(questions), settings, gammas, resume=False)
    write_results(out)


def steer_on(base: Base, site: Site, run: RunDir, asker: Asker, origin: str, settings: AnswerSettings, gammas: Sequence[float], *,
             resume: bool) -> None:
    """The same with everything opened; a_i → γ·a_i for the chosen features, in prompt and answer.

    Special tokens and the first of a prompt stay: the autoencoder knows nothing of them.
    """
    check_base(run, site, base.side.ref)
    chosen, artefact = read_chosen(run, site), f"steering/{site}.json"
    run.check_free(artefact, resume=resume)
    with run.lock():
        facts = {"base_model": base.side.ref, "questions": origin, "gammas": list(gammas), "answers": dataclasses.asdict(settings)}
        run.begin(f"sae steer {site}", artefact, facts | {"environment": environment.describe()}, resume=resume, fixed=tuple(facts))
        if run.is_finished(artefact):
            return
        judge, rows = resolve(settings.judge, JUDGE), []
        sae, index = base.everywhere((chosen.sae, jnp.asarray(chosen.selection.index)))
        for gamma in gammas:
            edits = partial(_scaled, str(site), {"sae": sae, "index": index, "gamma": jnp.float32(gamma)})
            answers = asker.ask(base.params, f"{site} × {gamma:g}", edits=edits, margin=False)
            found = safety_metrics(answers, judge)
            rows.append({"gamma": gamma, "metrics": found["metrics"], "intervals": found["intervals"]})
        (run / "steering").mkdir(exist_ok=True)
        jsonio.write_json(run / artefact, {"features": len(chosen.selection), "strengths": rows})
        run.seal(artefact)
    say(f"steering: {run / artefact}")


def _scaled(site: str, how: Mapping[str, Any], counts: Any) -> Mapping[str, Partial]:
    """The edit of a batch, at the places where activations count."""
    return {site: Partial(scale_features, **how, counts=counts)}


def check_gammas(gammas: Sequence[float]) -> None:
    """Raise `InputError` unless there are strengths, all of them finite and none negative."""
    if not gammas or not all(0 <= gamma < math.inf for gamma in gammas):
        raise InputError(f"steer: gammas: expected numbers of at least 0, found {list(gammas)}")
