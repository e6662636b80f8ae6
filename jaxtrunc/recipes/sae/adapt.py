"""`jaxtrunc sae adapt`: train an adapter that begins in a subspace or in a control, export it, and measure refusals."""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtrunc.config import MeshSettings, from_mapping, override
from jaxtrunc.core import environment, jsonio
from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.core.progress import say
from jaxtrunc.core.rundir import RunDir, sha256
from jaxtrunc.data.conversations import Conversation, Question, read_conversations, read_questions
from jaxtrunc.evals.refusals import PHRASES_HASH
from jaxtrunc.evals.safety import Answer, safety_metrics
from jaxtrunc.recipes.sae.answers import Asker, write_answers
from jaxtrunc.recipes.sae.base import Base, open_base
from jaxtrunc.recipes.sae.chosen import check_base, sites_of
from jaxtrunc.recipes.sae.controls import SiteBasis, basis_of, read_subspace
from jaxtrunc.recipes.sae.export import export
from jaxtrunc.recipes.sae.layers import sites_named
from jaxtrunc.recipes.sae.plugins import resolve
from jaxtrunc.recipes.sae.results import own_run, write_results
from jaxtrunc.recipes.sae.settings import AdapterTraining, AnswerSettings, Init, Preset
from jaxtrunc.recipes.sae.training import trained
from jaxtrunc.sae.sites import Site
from jaxtrunc.train.adapt_settings import AdaptSettings

BASE, JUDGE = "base", "answers.judge"


@dataclass(frozen=True)
class Request:
    """One adapter: where it begins, at which sites (none: all that have a subspace), and what it is called."""

    init: Init = "subspace"
    sites: tuple[str, ...] = ()
    seed: int = 0
    preset: Preset | None = None
    name: str | None = None
    merge: bool = False


@dataclass(frozen=True)
class AdaptConfig:
    """Everything that can be set about an adapter, its training and its questions, and the devices."""

    adapt: AdaptSettings = field(default_factory=AdaptSettings)
    train: AdapterTraining = field(default_factory=AdapterTraining)
    answers: AnswerSettings = field(default_factory=AnswerSettings)
    mesh: MeshSettings = field(default_factory=MeshSettings)


@dataclass(frozen=True)
class Material:
    """What adapters of a run share: rows to train on, questions, and where they come from."""

    rows: list[Conversation]
    data: Path
    asker: Asker | None


def adapt(ref: str, data: Path, questions: Path | None, out: Path, request: Request, settings: dict[str, Any],
          overrides: tuple[str, ...], *, resume: bool) -> None:
    """Write `out`/adapters/NAME, and with questions `out`/evaluations and samples; then results and report.

    Args:
      settings: keys of `AdaptSettings`; those that are None take what preset and subspaces say.

    Raises:
      InputError: anything wrong with model, rows, sites or settings, or the adapter is there; RunFailed, Interrupted: as in
        training.
    """
    run, rows, asked = own_run(out), read_conversations(data), [] if questions is None else read_questions(questions)
    values = override({"adapt": {key: value for key, value in settings.items() if value is not None}}, overrides)
    base = open_base(ref, mesh_of(values, "command line"))
    sites = chosen_sites(base, run, request)
    config = settled(request, values, None if request.init == "lora" else shared_rank(run, sites), "command line")
    material = Material(rows, data, open_asker(base, asked, questions, config.answers))
    adapt_on(base, run, sites, request, config, material, resume=resume)
    if material.asker is not None:
        measure_base(base, run, material.asker, config.answers)
    write_results(out)


def adapt_on(base: Base, run: RunDir, sites: list[Site], request: Request, config: AdaptConfig, material: Material, *,
             resume: bool) -> None:
    """The same with everything opened, and no results yet; what is finished stays when resuming."""
    name = _checked(request.name or adapter_name(request, config.adapt))
    artefact, evaluation = f"adapters/{name}", f"evaluations/{name}.json"
    for site in sites if request.init != "lora" else ():
        check_base(run, site, base.side.ref)
    starts = beginnings(run, sites, request)
    run.check_free(artefact, resume=resume)
    with run.lock():
        facts = {"base_model": base.side.ref, "data": sha256(material.data), "init": request.init, "seed": request.seed,
                 "sites": [str(site) for site in sites]} | dataclasses.asdict(config)
        run.begin(f"sae adapt {name}", artefact, facts | {"environment": environment.describe()}, resume=resume,
                  fixed=tuple(key for key in facts if key not in ("answers", "mesh")))
        if run.is_finished(artefact) and (material.asker is None or run.is_finished(evaluation)):
            say(f"adapter: {run / artefact} is there already")
            return
        made = trained(base, run / f"training/{artefact}", starts, material.rows, str(material.data), config.adapt, config.train,
                       resume=resume)
        if not (run / artefact).exists():
            export(base, run, name, made, starts, merge=request.merge, facts={
                "init": request.init, "seed": request.seed, "settings": dataclasses.asdict(config.adapt),
                "train": dataclasses.asdict(config.train), "preset": request.preset})
        if material.asker is not None:
            _measure(run, name, made.applied, material.asker, config.answers)
    say(f"adapter: {run / artefact}")


def measure_base(base: Base, run: RunDir, asker: Asker, settings: AnswerSettings) -> None:
    """The same questions to the base model, once per run."""
    with run.lock():
        if not run.is_finished(f"evaluations/{BASE}.json"):
            _measure(run, BASE, base.params, asker, settings)


def open_asker(base: Base, questions: list[Question], origin: Path | None, settings: AnswerSettings) -> Asker | None:
    """What asks them; None if there are none."""
    resolve(settings.judge, JUDGE)
    return Asker(base, questions, str(origin), settings) if questions else None


def mesh_of(values: dict[str, Any], where: str) -> MeshSettings:
    """The section mesh of values that are not settled yet."""
    return from_mapping(MeshSettings, values.get("mesh", {}), f"{where}: mesh")


def settled(request: Request, values: dict[str, Any], rank: int | None, where: str) -> AdaptConfig:
    """Values as sections adapt, train, answers, with what preset, seed and subspaces say where they say nothing.

    Args:
      rank: of the subspaces; None: there are none, or they are not used.
    """
    paper = request.preset is not None
    start = {"a_init": "random" if paper else "zero", "constraint_scale": "none" if paper else "base"}
    given = values.get("adapt", {})
    if rank is not None and given.get("rank", rank) != rank:
        raise InputError(f"{where}: adapt: rank is {given['rank']}, but the subspaces have {rank}; leave it out, or span others")
    start |= {} if rank is None else {"rank": rank}
    sections = values | {"adapt": start | given, "train": {"seed": request.seed} | values.get("train", {})}
    config = from_mapping(AdaptConfig, sections, where)
    if (config.adapt.constraint is None) != (config.adapt.constraint_factor == 0):
        raise InputError(f"{where}: adapt: --constraint and --lambda above 0 belong together; give both, or neither")
    if request.init == "lora" and (config.adapt.freeze_b or config.adapt.constraint):
        raise InputError(f"{where}: adapt: init lora has no subspace to stay in; leave out freeze_b and constraint")
    return config


def shared_rank(run: RunDir, sites: list[Site]) -> int:
    """The rank of all subspaces; `InputError` if they differ."""
    ranks = sorted({read_subspace(run, site).rank for site in sites})
    if len(ranks) > 1:
        raise InputError(f"{run.path}: subspaces have the ranks {', '.join(map(str, ranks))}; adapt sites of one rank at a time")
    return ranks[0]


def chosen_sites(base: Base, run: RunDir, request: Request) -> list[Site]:
    """Those that are named, else all that have a subspace; for plain LoRA without either the default layers."""
    sites = sites_named(request.sites, base) or sites_of(run, "subspace")
    if not sites and request.init == "lora":
        return sites_named(("resid_post",), base)
    if not sites:
        raise InputError(f"{run.path}: holds no subspaces; run `jaxtrunc sae subspace` first")
    return sites


def beginnings(run: RunDir, sites: list[Site], request: Request) -> dict[str, SiteBasis | None]:
    """Site → the basis to begin in; None: plain LoRA."""
    return {str(site): None if request.init == "lora" else basis_of(run, site, request.init, request.seed) for site in sites}


def adapter_name(request: Request, settings: AdaptSettings) -> str:
    """Init, what is unusual, seed."""
    parts: list[str] = [request.init]
    parts += [settings.a_init] if request.init != "lora" and settings.a_init != "zero" else []
    parts += ["frozen"] if settings.freeze_b else []
    parts += ["divided"] if settings.postnorm == "divide" else []
    parts += [f"{settings.constraint}{settings.constraint_factor:g}"] if settings.constraint else []
    return "-".join([*parts, f"s{request.seed}"])


def _checked(name: str) -> str:
    """A plain name of a directory, and not that of the base model's own evaluation."""
    if Path(name).name != name or name.startswith(".") or name in ("", BASE):
        raise InputError(f"adapt: --name: expected a plain name other than '{BASE}', found {shown(name)}")
    return name


def _measure(run: RunDir, name: str, params: Any, asker: Asker, settings: AnswerSettings) -> None:
    answers: list[Answer] = asker.ask(params, name)
    write_answers(run.path, name, asker.questions, answers)
    found = safety_metrics(answers, resolve(settings.judge, JUDGE))
    (run / "evaluations").mkdir(exist_ok=True)
    jsonio.write_json(run / f"evaluations/{name}.json", found | {
        "phrases_hash": PHRASES_HASH, "questions": _fingerprint(asker.questions), "answers": dataclasses.asdict(settings),
        "samples": f"samples/{name}.jsonl.gz", "expected": [answer.expected for answer in answers],
        "outcomes": [answer.outcome for answer in answers]})
    run.seal(f"evaluations/{name}.json")
    run.seal(f"samples/{name}.jsonl.gz")


def _fingerprint(questions: Sequence[Question]) -> str:
    """What tells whether two adapters were asked the same."""
    return hashlib.sha256(jsonio.dumps([(row.prompt, row.expected, row.set) for row in questions]).encode()).hexdigest()
