"""results.json of a run of subspaces and adapters: put together from what the verbs have written, whenever one of them ends."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxtrunc.core import environment, jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.evals.paired import paired_difference, seed_summary
from jaxtrunc.evals.refusals import PHRASES, PHRASES_HASH
from jaxtrunc.recipes.sae.labels import read_labels
from jaxtrunc.report.sae import write_sae_report

SCHEMA_VERSION = 1
RESULTS = "results.json"
STUDY = "records.jsonl"
BASE = "evaluations/base.json"
METRICS = "metrics.json"
SHOWN = ("rank", "q", "variance", "sigma_ratio", "e_shuffled", "e_most", "e_controls", "columns", "settings", "warnings")
REFERENCE = "subspace"
RATES = {"refusal_rate": ("refuse", "refusal"), "over_refusal_rate": ("comply", "refusal")}
FEW_SEEDS, HIGH_ERROR = 3, 0.5


def write_results(out: Path) -> None:
    """Write results.json, report.md and report.html."""
    run = own_run(out)
    with run.lock():
        found = gathered(run)
        jsonio.write_json(run / RESULTS, found)
        run.seal(RESULTS)
        described = {site: _features(run, site) for site in _names(run, "features")}
        write_sae_report(out, jsonio.strict(found | {"features": described}))


def own_run(out: Path) -> RunDir:
    """The run directory that a verb is to write to; `InputError` if it is a truncation study's."""
    if (out / STUDY).exists():
        raise InputError(f"{out}: holds {STUDY} of a truncation study, whose results.json would be overwritten; take another run")
    return RunDir(out)


def gathered(run: RunDir) -> dict[str, Any]:
    """The contents of results.json."""
    verbs = run.manifest["verbs"]
    config = {name: {key: value for key, value in facts.items() if key != "environment"} for name, facts in verbs.items()}
    adapters = {name: _adapter(run, name) for name in _names(run, "adapters", directories=True)}
    subspaces = {site: _subspace(run, site) for site in _names(run, "subspace")}
    return {
        "schema_version": SCHEMA_VERSION, "config": config, "environment": environment.describe(),
        "warnings": _warnings(subspaces, adapters) + _asked_otherwise(run, adapters),
        "phrases_hash": PHRASES_HASH, "phrases": PHRASES,
        "saes": {site: _read(run, f"sae/{site}/{METRICS}") for site in _names(run, "sae", directories=True)
                 if (run / f"sae/{site}/{METRICS}").exists()},  # one that was brought there has none
        "subspaces": subspaces, "base": _evaluation(run, "base"), "adapters": adapters, "groups": _groups(run, adapters),
        "steering": {site: _read(run, f"steering/{site}.json") for site in _names(run, "steering")}}


def _names(run: RunDir, folder: str, *, directories: bool = False) -> list[str]:
    """What a folder of the run holds, by its names; hidden ones are not finished."""
    place = run / folder
    if not place.is_dir():
        return []
    files = sorted(path for path in place.iterdir() if not path.name.startswith("."))
    return [path.name for path in files if path.is_dir()] if directories else \
        [path.name.removesuffix(".json") for path in files if path.name.endswith(".json")]


def _read(run: RunDir, name: str) -> dict[str, Any]:
    """An object in the run; `InputError` if it is none."""
    found = jsonio.read_json(run / name)
    if not isinstance(found, dict):
        raise InputError(f"{run / name}: expected an object, found {type(found).__name__}")
    return found


def _features(run: RunDir, site: str) -> dict[str, Any]:
    facts = _read(run, f"features/{site}.json")
    return facts | {"labels": {str(feature): entry for feature, entry in read_labels(run).get(site, {}).items()}}


def _subspace(run: RunDir, site: str) -> dict[str, Any]:
    facts = _read(run, f"subspace/{site}.json")
    return {key: facts[key] for key in SHOWN if key in facts}


def _adapter(run: RunDir, name: str) -> dict[str, Any]:
    facts = _read(run, f"adapters/{name}/adapter.json")
    settings = facts["settings"]
    kept = {key: facts.get(key) for key in ("parameters", "relative_size_at_start", "movement", "columns", "preset")}
    asked = _evaluation(run, name) or {"metrics": {}, "intervals": {}}
    return {"init": facts["init"], "a_init": settings["a_init"], "seed": facts["seed"], "settings": settings,
            "group": name.removesuffix(f"-s{facts['seed']}"), **kept, **asked}


def _evaluation(run: RunDir, name: str) -> dict[str, Any] | None:
    if not (run / f"evaluations/{name}.json").exists():
        return None
    found = _read(run, f"evaluations/{name}.json")
    return {key: found[key] for key in ("metrics", "intervals", "per_set", "phrases_hash")}


def _groups(run: RunDir, adapters: dict[str, Any]) -> dict[str, Any]:
    """Adapters that differ in their seed alone, summed up; and how they differ from those that begin in the subspace.

    These are the group `subspace`, else the first with that init whose B is trained, such as `subspace-random` of the preset paper.
    """
    groups: dict[str, dict[int, str]] = {}
    for name, facts in adapters.items():
        groups.setdefault(facts["group"], {})[facts["seed"]] = name
    begun = [group for group, names in groups.items() if _begins_in_subspace(adapters[next(iter(names.values()))])]
    chosen = REFERENCE if REFERENCE in begun else next(iter(begun), REFERENCE)
    reference = {seed: name for seed, name in groups.get(chosen, {}).items() if adapters[name]["metrics"]}
    found = {}
    for group, names in groups.items():
        asked = {seed: name for seed, name in names.items() if adapters[name]["metrics"]}
        keys = sorted({key for name in asked.values() for key in adapters[name]["metrics"]})
        metrics = {key: seed_summary({seed: adapters[name]["metrics"].get(key) for seed, name in asked.items()}) for key in keys}
        found[group] = {"init": adapters[next(iter(names.values()))]["init"], "seeds": sorted(names), "metrics": metrics,
                        "reference": chosen, "minus_subspace": {} if group == chosen else _differences(run, asked, reference)}
    return found


def _begins_in_subspace(facts: dict[str, Any]) -> bool:
    return facts["init"] == REFERENCE and not facts["settings"].get("freeze_b")


def _differences(run: RunDir, names: dict[int, str], reference: dict[int, str]) -> dict[str, Any]:
    """Rate → paired difference from the adapters that begin in the subspace; nothing where the questions were others."""
    mine, theirs = ({seed: _read(run, f"evaluations/{name}.json") for seed, name in side.items()} for side in (names, reference))
    if len({_asked(facts) for facts in (*mine.values(), *theirs.values())}) != 1:
        return {}
    return {rate: paired_difference(*({seed: _hits(facts, *about) for seed, facts in side.items()} for side in (mine, theirs)))
            for rate, about in RATES.items()}


def _asked(evaluation: dict[str, Any]) -> tuple[Any, ...]:
    """What must be the same for two evaluations to be compared: the questions, and how long answers could become."""
    how = evaluation.get("answers", {})
    return (evaluation.get("questions"), tuple(evaluation["expected"]),
            *(how.get(key) for key in ("new_tokens", "max_tokens", "judge")))


def _asked_otherwise(run: RunDir, adapters: dict[str, Any]) -> list[str]:
    """A sentence for each adapter that was not asked what the base model was asked."""
    if not (run / BASE).exists():
        return []
    base = _asked(_read(run, BASE))
    return [f"adapter {name}: was asked other questions than the base model, or in another way; their rates do not compare"
            for name, facts in adapters.items() if facts["metrics"] and _asked(_read(run, f"evaluations/{name}.json")) != base]


def _hits(facts: dict[str, Any], expected: str, outcome: str) -> list[bool]:
    return [said == outcome for wanted, said in zip(facts["expected"], facts["outcomes"], strict=True) if wanted == expected]


def _warnings(subspaces: dict[str, Any], adapters: dict[str, Any]) -> list[str]:
    found = [warning for facts in subspaces.values() for warning in facts.get("warnings", [])]
    found += [f"subspace {site}: E(U, U_shuffled) is {facts['e_shuffled']:.2f}, close to 0: features at random span nearly the same"
              for site, facts in subspaces.items() if facts["e_shuffled"] < HIGH_ERROR]
    found += [f"adapters {group}: {seeds} seed{'s' if seeds > 1 else ''}; {FEW_SEEDS} are the least that shows what chance does"
              for group, seeds in _counts(adapters).items() if seeds < FEW_SEEDS]
    others = {name for name, facts in adapters.items() if facts.get("phrases_hash") not in (None, PHRASES_HASH)}
    found += [f"adapter {name}: refusals were counted by another phrase list than this version's" for name in sorted(others)]
    found += [f"adapter {name}: ΔK₀ is {max(sizes.values()):.1%} of a matrix before training, so its start is not the base model"
              for name, facts in adapters.items() if (sizes := facts["relative_size_at_start"]) and max(sizes.values()) > 0]
    return found


def _counts(adapters: dict[str, Any]) -> dict[str, int]:
    groups: Sequence[str] = [facts["group"] for facts in adapters.values()]
    return {group: groups.count(group) for group in dict.fromkeys(groups)}
