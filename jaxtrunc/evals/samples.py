"""What a model said about every example, one gzipped JSON line each."""

import gzip
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtrunc.core.files import staging_name
from jaxtrunc.core.jsonio import dumps
from jaxtrunc.core.rundir import sha256
from jaxtrunc.evals.evalset import EvalSet
from jaxtrunc.evals.records import record_key
from jaxtrunc.evals.scoring import Scores
from jaxtrunc.evals.truth import MISSING

FOLDER = "samples"


def write_samples(run: Path, level: Mapping[str, Any], eval_set: EvalSet, scores: Scores) -> dict[str, str]:
    """Write RUN/samples/NAME.jsonl.gz, beside and then renamed; returns `samples` (its path in RUN) and its hash."""
    name = sample_name(level)
    final = run / FOLDER / name
    final.parent.mkdir(exist_ok=True)
    staged = staging_name(final)
    with open(staged, "wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
        for row in _rows(eval_set, scores):
            packed.write((dumps(row) + "\n").encode())
    os.replace(staged, final)
    return {"samples": f"{FOLDER}/{name}", "samples_sha256": sha256(final)}


def sample_name(record: Mapping[str, Any]) -> str:
    """A readable file name that no two record keys share."""
    parts = [str(record["operator"])]
    parts += [f"{key}{record[key]}" for key in ("k", "param", "seed") if record.get(key) is not None]
    parts += ["matched"] if record.get("norm_matched") else []
    digest = hashlib.sha256(dumps(record_key(record)).encode()).hexdigest()[:8]
    return "-".join([*parts, str(record["split"]), digest]) + ".jsonl.gz"


def _rows(eval_set: EvalSet, scores: Scores):
    truth = eval_set.truth
    for i, encoded in enumerate(eval_set.encoded):
        yield {
            "id": encoded.id,
            "prompt": encoded.prompt,
            "input_ids": encoded.input_ids,
            "label": truth.class_names[truth.labels[i]],
            "attributes": {name: None if values[i] == MISSING else values[i] for name, values in truth.attributes.items()},
            "prediction": truth.class_names[scores.predictions[i]],
            "scores": scores.scores[i],
        }
