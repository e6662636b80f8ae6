"""The LoRA control of a run: a learning rate chosen on the validation split, then one adapter per rank in RUN/lora."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from jaxtrunc.adapters import write_adapter
from jaxtrunc.config import RunConfig
from jaxtrunc.core import environment, jsonio, processes
from jaxtrunc.core.errors import InputError, RunFailed
from jaxtrunc.core.processes import is_main, wait_for_all
from jaxtrunc.core.progress import say
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.core.trees import Params
from jaxtrunc.evals import VALIDATION
from jaxtrunc.models import Execution, leaf_class
from jaxtrunc.recipes.adapters import ARTEFACT, RATES, adapter_name
from jaxtrunc.recipes.bench import Bench, require_train
from jaxtrunc.recipes.chosen import chosen_matrices
from jaxtrunc.recipes.finetune import validation_accuracy
from jaxtrunc.recipes.pair import Pair, Side
from jaxtrunc.recipes.weights import load, open_mesh
from jaxtrunc.spectral import MatrixRef
from jaxtrunc.train.lora import SCALE, Adapter, Target, train_lora

TRAINING = f"{ARTEFACT}/training"  # metrics and checkpoints of every training run
SEARCHED = f"{TRAINING}/searched.jsonl"


def lora_on(side: Side, bench: Bench, run: RunDir, config: RunConfig, *, resume: bool) -> None:
    """Write RUN/lora/rates.json and RUN/lora/rN for every rank that is not there yet; nothing if no ranks are given.

    Raises:
      InputError: a selected matrix that cannot have factors, no validation split to choose on, or other settings than those
        of the adapters that are there; RunFailed: no learning rate trains; Interrupted: stopped by a signal.
    """
    if not config.lora.ranks:
        return
    check_lora(side, bench, config)
    run.check_free(ARTEFACT, resume=resume)
    with run.lock():
        run.begin("lora", ARTEFACT, _facts(side, bench, config), resume=resume,
                  fixed=("base_model", "task", "train", "include", "exclude", "search"))
        missing = [rank for rank in config.lora.ranks if not run.is_finished(adapter_name(rank))]
        if run.is_finished(RATES) and not missing:
            say(f"LoRA: {run / ARTEFACT} is there already")
            return
        training = _Training(run, side, bench, config)
        rate = training.rate()
        for rank in missing:
            training.export(rank, rate)
    say(f"LoRA: {run / ARTEFACT}")


def check_lora(side: Side, bench: Bench, config: RunConfig) -> None:
    """Find out, before anything is trained, what `lora_on` would refuse of the input."""
    if not config.lora.ranks:
        return
    require_train(bench.task)
    if config.lora.learning_rate is None and VALIDATION not in bench.task.splits:
        raise InputError(f"{bench.task.origin}: lora: choosing a learning rate needs a 'validation' split in 'splits'; or give "
                         "lora.learning_rate")
    lora_targets(side, config)


def lora_targets(side: Side, config: RunConfig) -> tuple[Target, ...]:
    """The matrices that the decomposition settings select, leaf by leaf; `InputError` for one that is no layer's linear."""
    chosen = chosen_matrices(Pair(side, side), config.decompose)
    others = [ref.name for ref in chosen if leaf_class(side.source.cfg, ref.path) != "linear"]
    if others:
        raise InputError(f"lora: decompose.include selects {others[0]}, but LoRA is for attention and MLP matrices; exclude it, or "
                         "leave lora.ranks empty")
    return tuple(_target(side, path, [ref for ref in chosen if ref.path == path])
                 for path in sorted({ref.path for ref in chosen}))


def _target(side: Side, path: str, refs: Iterable[MatrixRef]) -> Target:
    ordered = sorted(refs, key=lambda ref: ref.index)
    return Target(path, side.leaves[path].shape, tuple(ref.index for ref in ordered), tuple(ref.name for ref in ordered))


def _facts(side: Side, bench: Bench, config: RunConfig) -> dict[str, Any]:
    lora = config.lora
    search = {"learning_rate": lora.learning_rate} if lora.learning_rate is not None else \
        {"learning_rates": lora.learning_rates, "rank": lora.rank_of_search}
    return {"base_model": side.ref, "task": bench.task.resolved(), "train": dataclasses.asdict(config.train), "search": search,
            "include": config.decompose.include, "exclude": config.decompose.exclude, "ranks": lora.ranks,
            "environment": environment.describe()}


class _Training:
    """Training runs of one base model on one benchmark; its weights are read once."""

    def __init__(self, run: RunDir, side: Side, bench: Bench, config: RunConfig):
        self._run, self._side, self._bench, self._config = run, side, bench, config
        self._targets = lora_targets(side, config)
        self._mesh = open_mesh(config.mesh)
        self._validate = validation_accuracy(bench, side, self._mesh)
        self._base = load(side.leaves, self._mesh)

    def rate(self) -> float:
        """The learning rate of all ranks: given, chosen before, or searched for now."""
        if not self._run.is_finished(RATES):
            if is_main():
                (self._run / ARTEFACT).mkdir(exist_ok=True)
            found = self._search()
            if is_main():
                jsonio.write_json(self._run / RATES, found)
            self._run.seal(RATES)
        return jsonio.read_json(self._run / RATES)["learning_rate"]

    def export(self, rank: int, rate: float) -> None:
        """RUN/lora/rRANK; a training run that the search has made is not made again."""
        adapter, params = self._train(rank, rate)
        factors = adapter.by_name(params)
        if is_main():
            notes = (f"Trained by jaxtrunc on the task `{self._bench.task.name}` for {self._config.train.epochs} epochs at most, "
                     f"with the learning rate {rate:g}, rank {rank} and alpha {SCALE * rank}, as a control of matched rank.")
            write_adapter(self._run / adapter_name(rank), factors, base_ref=self._side.ref, title=f"LoRA of rank {rank}",
                          notes=notes, scale=SCALE)
        self._run.seal(adapter_name(rank))

    def _search(self) -> dict[str, Any]:
        """What rates.json holds; of equal accuracies the smaller rate wins."""
        lora = self._config.lora
        if lora.learning_rate is not None:
            return {"learning_rate": lora.learning_rate, "given": True, "rank": None, "split": None, "searched": []}
        known = self._known()
        searched = [next((entry for entry in known if entry["learning_rate"] == rate), None) or self._try(rate)
                    for rate in sorted(lora.learning_rates)]
        sound = [entry for entry in searched if entry["accuracy"] is not None]
        if not sound:
            raise RunFailed(f"LoRA: no learning rate of lora.learning_rates trains: {searched[0]['failed']}")
        best = max(sound, key=lambda entry: entry["accuracy"])
        rate, rank = best["learning_rate"], lora.rank_of_search
        say(f"LoRA: learning rate {rate:g} (validation accuracy {best['accuracy']:.4f} at rank {rank})")
        return {"learning_rate": rate, "given": False, "rank": rank, "split": VALIDATION, "searched": searched}

    def _known(self) -> list[dict[str, Any]]:
        """What an earlier attempt at the search found out; a line that was torn when it was killed is taken out."""
        known = jsonio.read_lines(self._run / SEARCHED) if is_main() else []
        if is_main():
            jsonio.rewrite_lines(self._run / SEARCHED, known)
        return processes.collect(known)[0]

    def _try(self, rate: float) -> dict[str, Any]:
        """One training run of the search: its accuracy, or why it failed."""
        entry: dict[str, Any] = {"learning_rate": rate, "accuracy": None, "failed": None}
        assert self._validate is not None  # checked before anything was trained
        try:
            adapter, params = self._train(self._config.lora.rank_of_search, rate)
            entry["accuracy"] = self._validate(adapter.applied(params))
        except RunFailed as failure:  # the loss is no number any more: this rate is not the one
            entry["failed"] = str(failure)
        if is_main():
            jsonio.append_line(self._run / SEARCHED, entry)
        wait_for_all(f"learning rate {rate:g} is tried")
        return entry

    def _train(self, rank: int, rate: float) -> tuple[Adapter, Params]:
        """Train, or finish training, or read what was trained; the order of the rows begins anew each time."""
        settings = dataclasses.replace(self._config.train, learning_rate=rate)
        directory = self._run / f"{TRAINING}/r{rank}-{rate}"
        adapter = Adapter(self._targets, rank)
        params = train_lora(self._base, self._side.source.cfg, adapter, self._bench.stream(settings), settings, directory,
                            execution=Execution(), validate=self._validate, resume=True, mesh=self._mesh)
        return adapter, params
