"""results.json from the records: endpoints, the choice of k, the verdict, the spectra."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from jaxtrunc import spectral
from jaxtrunc.config import SweepSettings
from jaxtrunc.core import environment, jsonio
from jaxtrunc.core.rundir import SCHEMA_VERSION, RunDir
from jaxtrunc.evals import (
    VALIDATION,
    EvalSet,
    Statistics,
    oracle_k,
    record_key,
    select_k,
    study_statistics,
    without_predictions,
)
from jaxtrunc.evals.boundary import Sets
from jaxtrunc.recipes.adapters import lora_facts
from jaxtrunc.recipes.bench import Bench
from jaxtrunc.recipes.boundary import boundary_verdict, level_sets
from jaxtrunc.recipes.decompose import SPECTRA
from jaxtrunc.recipes.pair import Pair
from jaxtrunc.recipes.rounding import as_evaluated, operand_warnings, rounding_warnings

Record = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Study:
    """Everything a sweep was made of."""

    run: RunDir
    pair: Pair
    bench: Bench
    decomposition: spectral.Decomposition
    settings: SweepSettings
    eval_sets: Mapping[str, EvalSet]

    @property
    def full_rank(self) -> int:
        """The largest numerical rank over matrices: from there on nothing is truncated."""
        return max((svd.rank for svd in self.decomposition.matrices.values()), default=0)

    @functools.cached_property
    def validation(self) -> Statistics | None:
        """The split that k* is chosen on, without groups."""
        chooser = self.eval_sets.get(VALIDATION) if self.settings.split != VALIDATION else None
        return Statistics(chooser.truth.without_groups()) if chooser else None


def build_results(study: Study, records: Sequence[Record], selection: dict[str, Any] | None,
                  precision: Mapping[str, Any] | None, warnings: Sequence[str]) -> dict[str, Any]:
    """The object of results.json, schema_version 1.

    Args:
      records: of the dtype of `study.settings`, over all splits.
      selection: what `choose` returned for them.
      precision: how far they agree with float32; None if they are float32.
    """
    split = study.settings.split
    shown = [record for record in records if record["split"] == split]
    sets = level_sets(study, records)
    spectra = as_evaluated(jsonio.read_json(study.run / "decomposition" / SPECTRA), study.decomposition, study.pair.ft.leaves,
                           study.settings.dtype)
    warnings = [*warnings, *operand_warnings(precision), *rounding_warnings(spectra)]
    if not selection:
        warnings.append("no k* is chosen: that needs a validation split and top_k at ranks, not at fractions alone; choosing on "
                        "the reported split is refused")
    return {
        "schema_version": SCHEMA_VERSION,
        "config": _config(study),
        "environment": environment.describe() | {"dtypes": _dtypes(study)},
        "warnings": warnings,
        "endpoints": {end: _told(_end(shown, end), sets) for end in ("base", "ft")},
        "records": [_told(record, sets) for record in shown],
        "selection": selection,
        "verdict": _verdict(study, records, sets, selection, precision),
        "bf16_source": any(entry["bf16_source"] for entry in spectra.values()),
        "spectra": spectra,
        "lora": lora_facts(study.run),
        "skipped": list(study.decomposition.skipped),
    }


def _told(record: Record, sets: Mapping[tuple, Sets]) -> dict[str, Any]:
    """A record as results.json holds it; in the boundary case with its accuracy on each set."""
    found = sets.get(record_key(record))
    return without_predictions(record) | ({"sets": found} if found else {})


def choose(study: Study, records: Sequence[Record]) -> dict[str, Any] | None:
    """The `selection` of results.json; None without a validation split or top_k at ranks."""
    if study.validation is None:
        return None
    hidden = _comparable(study, records, VALIDATION)
    selection = select_k(study.validation, hidden, study.full_rank, study.settings.tolerance_pp)
    if selection:
        selection["oracle_k"] = oracle_k(_comparable(study, records, study.settings.split))
    return selection


def _verdict(study: Study, records: Sequence[Record], sets: Mapping[tuple, Sets], selection: dict[str, Any] | None,
             precision: Mapping[str, Any] | None) -> dict[str, Any]:
    split = study.settings.split
    boundary = boundary_verdict(study, _comparable(study, records), sets, selection["k"] if selection else None)
    return study_statistics(Statistics(study.eval_sets[split].truth), _comparable(study, records, split), study.validation,
                            _comparable(study, records, VALIDATION), selection, study.full_rank, boundary, precision,
                            spectral.flat_share(study.decomposition.matrices.values()))


def _comparable(study: Study, records: Sequence[Record], split: str | None = None) -> list[Record]:
    """The records of this sweep's residual policy and scope; of one split, if one is named."""
    return [record for record in records if record["residual"] in (study.settings.residual, None)
            and record["scope"] in ("per_leaf", None) and split in (None, record["split"])]


def _end(records: Sequence[Record], name: str) -> Record:
    return next(record for record in records if record["operator"] == name)


def _config(study: Study) -> dict[str, Any]:
    """What was asked for, verb by verb, with the seeds on top."""
    verbs = study.run.manifest["verbs"]
    training = verbs.get("finetune", {}).get("train")
    return {
        "name": study.bench.task.name,
        "base_model": study.pair.base.ref,
        "model": study.pair.ft.ref,
        "task": study.bench.task.resolved(),
        "prompts": study.bench.prompter.describe(),
        "train": training,
        "decompose": {key: verbs["decompose"].get(key) for key in ("include", "exclude", "backend", "leading")}
        | {"backend": study.decomposition.backend, "measured": study.decomposition.measured},
        "sweep": dataclasses.asdict(study.settings),
        "seeds": {"sweep": study.settings.seeds, "train": training and training["seed"]},
        "architecture": dataclasses.asdict(study.pair.cfg),
    }


def _dtypes(study: Study) -> dict[str, Any]:
    """Stored dtypes of both checkpoints, and what was computed in."""
    stored = {side: sorted({str(leaf.dtype) for leaf in leaves.values()})
              for side, leaves in (("base", study.pair.base.leaves), ("ft", study.pair.ft.leaves))}
    return stored | {"delta": "float32", "evaluation": study.settings.dtype}
