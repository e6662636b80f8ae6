"""`jaxtrunc collect`: many runs in one table and on one page."""

import csv
import io
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxtrunc import spectral
from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.files import new_directory
from jaxtrunc.core.progress import say
from jaxtrunc.core.rundir import SCHEMA_VERSION
from jaxtrunc.evals.seeds import over_seeds
from jaxtrunc.recipes.found_runs import find_runs
from jaxtrunc.report.collect_claims import checklist
from jaxtrunc.report.collect_facts import Run, facts, flat
from jaxtrunc.report.collect_markdown import as_markdown
from jaxtrunc.report.collect_page import Collection, write_collection


def collect(paths: Sequence[Path], out: Path) -> None:
    """Write `out`/collect.{html,md,csv,json} and `out`/plots from the runs in `paths`; nothing there is overwritten.

    Raises:
      InputError: no run can be shown, or `out` is taken.
    """
    with new_directory(out) as staged:
        collection = gather(paths)
        jsonio.write_json(staged / "collect.json", as_json(collection))
        jsonio.write_text(staged / "collect.csv", as_csv(collection.runs))
        jsonio.write_text(staged / "collect.md", as_markdown(collection))
        write_collection(staged, collection)
    for item in collection.unusable:
        say(f"not shown: {item['path']}: {item['reason']}")
    say(f"collected {len(collection.runs)} runs: {out / 'collect.html'}")


def gather(paths: Sequence[Path]) -> Collection:
    """The runs, with what can be said of them together."""
    found = find_runs(paths)
    if not found.runs:
        first = found.unusable[0]
        raise InputError(f"none of {len(found.unusable)} runs can be shown; {first['path']}: {first['reason']}")
    similarity = list(_distances(found.runs))
    return Collection(found.runs, _groups(found.runs), similarity, checklist(found.runs, similarity), found.unusable)


def as_json(collection: Collection) -> dict[str, Any]:
    """The object of collect.json."""
    return {"schema_version": SCHEMA_VERSION, "runs": [facts(run) for run in collection.runs], "seeds": list(collection.groups),
            "similarity": list(collection.similarity), "claims": [claim.plain() for claim in collection.claims],
            "unusable": list(collection.unusable)}


def as_csv(runs: Sequence[Run]) -> str:
    """One row per run, with the columns of all; empty where a run has no such number."""
    rows = [flat(run) for run in runs]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _groups(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Per base model and task what its training seeds come to."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault(run.group, []).append(run)
    return [{"base": base, "task": task, "seeds": [run.seed for run in group], "runs": [run.name for run in group],
             "verdicts": dict(Counter(run.label or "none" for run in group)),
             "quantities": {name: over_seeds([_quantities(run)[name] for run in group]) for name in _quantities(group[0])}}
            for (base, task), group in groups.items()]


def _quantities(run: Run) -> dict[str, float | None]:
    """What is summed up over seeds; rates are fractions."""
    known = facts(run)
    entries = {f"gap_{end}": known["gap"][end] for end in known["gap"]}
    entries |= {f"accuracy_{end}": known["accuracy"][end] for end in known["accuracy"]}
    entries |= {"reduction": known["reduction"], "loss_pp": known["loss_pp"], "decoupling": known["decoupling"].get("top_k")}
    return {name: (entry or {}).get("value") for name, entry in entries.items()}


def _distances(runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    """Distances of normalised spectra between runs of one base model and different tasks, training seed by training seed."""
    usual = [run for run in runs if not run.is_boundary]
    for a, b in itertools.combinations(usual, 2):
        if a.base == b.base and a.task != b.task and a.seed == b.seed:
            value = spectral.spectral_similarity(a.results["spectra"], b.results["spectra"])
            if value is not None:
                yield {"a": a.name, "b": b.name, "base": a.base, "seed": a.seed, "value": value}
