"""`jaxtrunc sweep`: every level of a decomposition evaluated on a benchmark; records, results, report."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from jaxtrunc import spectral
from jaxtrunc.config import DecomposeSettings, MeshSettings, RunConfig, SweepSettings
from jaxtrunc.core import environment, jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.mesh import batch_divisor
from jaxtrunc.core.processes import is_main
from jaxtrunc.core.progress import say
from jaxtrunc.core.rundir import RunDir, open_run
from jaxtrunc.evals import VALIDATION
from jaxtrunc.evals.sweep import describe_level
from jaxtrunc.recipes.adapters import lora_facts, lora_warnings
from jaxtrunc.recipes.bench import Bench, open_bench
from jaxtrunc.recipes.boundary import extra_sets
from jaxtrunc.recipes.decompose import method_warnings, stored_decomposition
from jaxtrunc.recipes.evaluation import Evaluation, agreement
from jaxtrunc.recipes.levels import LevelWeights
from jaxtrunc.recipes.memory import tell_memory
from jaxtrunc.recipes.outside import changed_outside, in_words
from jaxtrunc.recipes.pair import Pair, recall_pair
from jaxtrunc.recipes.report import RESULTS
from jaxtrunc.recipes.results import Study, build_results, choose
from jaxtrunc.recipes.weights import open_mesh
from jaxtrunc.report import write_report

ARTEFACT = "records.jsonl"
LARGEST = 2**31 - 1
LORA = "lora"


def sweep(path: Path, task: Path, settings: SweepSettings, *, resume: bool) -> None:
    """Evaluate the levels of `settings` on `task`; writes records.jsonl, results.json, report.html and plots.

    Raises:
      InputError: wrong flags, task file, rows or label words; records of another task are there, or of this one
        without `resume`.
    """
    check_settings(settings)
    run = open_run(path, "decomposition", "decompose")
    pair = recall_pair(run)
    bench = open_bench(task, task.parent, pair.base.source.directory, (settings.split,), settings.limit)
    sweep_on(run, pair, bench, settings, MeshSettings(), resume=resume)
    asked = run.manifest["verbs"]["decompose"]
    chosen = DecomposeSettings(tuple(asked.get("include", ())), tuple(asked.get("exclude", ())))
    done = RunConfig("sweep", pair.base.ref, str(task), pair.ft.ref, decompose=chosen, sweep=settings)
    tell_memory(run, "sweep", done, Path())
    if is_main():
        say(f"report: {path / 'report.html'}")


def sweep_on(run: RunDir, pair: Pair, bench: Bench, settings: SweepSettings, mesh: MeshSettings, *, resume: bool) -> None:
    """The same with everything opened; all processes evaluate, process 0 writes."""
    decomposition, compute = stored_decomposition(run, pair), open_mesh(mesh)
    levels = _plan(decomposition, settings)
    validation = (VALIDATION,) if VALIDATION in bench.data.examples else ()
    splits = dict.fromkeys((*validation, settings.split))  # validation first: the loop looks there for the worst group
    devices = 1 if compute is None else batch_divisor(compute)
    eval_sets = [bench.eval_set(split, settings.batch_size, devices) for split in splits]
    eval_sets += extra_sets(bench, settings.split, settings.batch_size, devices)
    with run.lock():
        _claim(run, bench, settings, resume)
        evaluation = Evaluation(run, LevelWeights(pair, decomposition, settings.residual, compute), eval_sets, compute,
                                settings.log_samples, settings.exact_every)
        outcome = evaluation.of(levels, settings.dtype)
        study = Study(run, pair, bench, decomposition, settings, {rows.split: rows for rows in eval_sets})
        selection = choose(study, outcome.records)
        precision = agreement(evaluation, study, levels, outcome.records, selection)
        if is_main():
            warnings = [*bench.data.warnings, *_pair_warnings(pair, decomposition, settings), *method_warnings(decomposition),
                        *outcome.warnings,
                        *lora_warnings(lora_facts(run)),
                        *_level_warnings(outcome.records)]
            jsonio.write_json(run / RESULTS, build_results(study, outcome.records, selection, precision, warnings))
        run.seal(RESULTS)
        if is_main():
            write_report(run.path, jsonio.read_json(run / RESULTS))


def check_settings(settings: SweepSettings) -> None:
    """Raise `InputError` for an unknown operator or a number out of range."""
    if LORA in settings.operators:
        raise InputError(f"--operators: '{LORA}' is trained, not cut: give ranks in a run config, as `lora: {{ranks: [4, 16]}}`")
    for name in settings.operators:
        spectral.find_operator(name)
    if not settings.operators:
        raise InputError("--operators: expected at least one name, found none")
    for flag, values, low, high in (("--ranks", settings.ranks or (), 0, LARGEST), ("--fractions", settings.fractions, 0, 1),
                                    ("--alphas", settings.alphas, 0, 1), ("--seeds", settings.seeds, 0, LARGEST),
                                    ("--batch-size", (settings.batch_size,), 1, LARGEST),
                                    ("--limit", () if settings.limit is None else (settings.limit,), 1, LARGEST),
                                    ("--exact-every", () if settings.exact_every is None else (settings.exact_every,), 1, LARGEST),
                                    ("--tolerance-pp", (settings.tolerance_pp,), 0, 100)):
        for value in values:
            if not low <= value <= high:  # NaN neither
                raise InputError(f"{flag}: expected a number from {low} to {high}, found {value}")


def _plan(decomposition: spectral.Decomposition, settings: SweepSettings) -> list[spectral.Level]:
    return spectral.plan_levels(decomposition, settings.operators, settings.ranks, fractions=settings.fractions,
                                alphas=settings.alphas, seeds=settings.seeds, match_norm=settings.match_norm)


def _claim(run: RunDir, bench: Bench, settings: SweepSettings, resume: bool) -> None:
    """Note the sweep in the manifest, unless the run holds records of another task, or of this one without `resume`."""
    before = run.manifest["verbs"].get("sweep", {})
    if (run / ARTEFACT).exists() and before.get("task_hash") != bench.data.hash:
        name = before.get("task", {}).get("name")
        raise InputError(f"{run.path}: holds records of another task, other rows or another --limit (task '{name}'); one "
                         "run directory holds one task: decompose into a new --out-path, or copy the run without its records")
    facts = {"task": bench.task.resolved(), "task_hash": bench.data.hash, "prompts": bench.prompter.describe(),
             "settings": dataclasses.asdict(settings), "dtype": settings.dtype, "environment": environment.describe()}
    run.begin("sweep", ARTEFACT, facts, resume=resume)


def _pair_warnings(pair: Pair, decomposition: spectral.Decomposition, settings: SweepSettings) -> list[str]:
    """What a reader must know of the two checkpoints before believing a number."""
    changes = changed_outside(pair, {*decomposition.matrices, *decomposition.skipped})
    warnings = []
    if changes:
        kept, end = ("fine-tuned", "k = 0 is not the base model") if settings.residual == "ft" else \
            ("base", "the full rank is not the fine-tuned model")
        warnings.append(f"{len(changes)} tensors outside the cut matrices were changed by fine-tuning and keep their {kept} value, "
                        f"so {end}: {in_words(changes)}")
    if jax.default_backend() != "cpu":
        warnings.append("evaluated on an accelerator: scores agree with other devices within 1e-4, not bit for bit")
    return warnings


def _level_warnings(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every reason to distrust a level, with the levels it holds for."""
    levels: dict[str, dict[str, None]] = defaultdict(dict)
    for record in records:
        for reason in spectral.distrust(record["max_norm_factor"], record["roundoff"], record["dtype"], record.get("drift")):
            levels[reason][describe_level(record)] = None
    return [f"{len(names)} levels are not to be trusted, for example {next(iter(names))}: {reason}"
            for reason, names in levels.items()]
