"""Run directories that somebody damaged, with checksums that agree where the fault is meant to be met later."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from generator.case import EXPORT, REPORT, SWEEP, Case, Place, pipe

MANIFEST, RESULTS, HEAD, LINES = (
    "manifest.json",
    "results.json",
    "decomposition/decomposition.json",
    "decomposition/matrices-000.jsonl",
)


def _manifest(change: Callable[[dict[str, Any]], Any]):
    def spoil(place: Place) -> None:
        values = json.loads((place.run / MANIFEST).read_text())
        change(values)
        (place.run / MANIFEST).write_text(json.dumps(values))

    return spoil


def _sealed(name: str, content: str | Callable[[str], str]):
    """Another content of an artefact, and its checksum in the manifest."""

    def spoil(place: Place) -> None:
        file = place.run / name
        file.write_text(content if isinstance(content, str) else content(file.read_text()))
        _manifest(lambda values: values["files"].update({name: _sha256(file)}))(place)

    return spoil


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _line(**changes: Any):
    """Change the first stored matrix, with a hash of its own that agrees."""

    def change(text: str) -> str:
        first, *rest = text.splitlines()
        line = json.loads(first) | changes
        line.pop("line_hash")
        line["line_hash"] = hashlib.sha256(json.dumps(line, ensure_ascii=False).encode()).hexdigest()
        return "\n".join([json.dumps(line, ensure_ascii=False), *rest]) + "\n"

    return _sealed(LINES, change)


def manifests() -> Iterator[Case]:
    """manifest.json."""
    for id, text, word in [
        ("empty", "", "JSON"),
        ("a-list", "[]", "object"),
        ("torn", '{"schema_version": 1, "verbs": {', "JSON"),
        ("nan", '{"schema_version": NaN}', "NaN"),
        ("version", '{"schema_version": 99}', "schema_version"),
        ("verbs-list", '{"schema_version": 1, "verbs": [], "files": {}}', "verbs"),
        ("files-list", '{"schema_version": 1, "verbs": {}, "files": []}', "files"),
        ("no-verbs", '{"schema_version": 1, "verbs": {}, "files": {}}', "base_model"),
        ("facts-number", '{"schema_version": 1, "verbs": {"decompose": {"base_model": 1}}, "files": {}}', "base_model"),
    ]:
        yield Case(f"manifest-{id}", lambda place, text=text: (place.run / MANIFEST).write_text(text), EXPORT, (MANIFEST, word))
    for id, ref in {"up": "./../base", "further-up": "./x/../../base"}.items():
        yield Case(
            f"manifest-model-{id}",
            _manifest(lambda values, ref=ref: values["verbs"]["decompose"].update(base_model=ref)),
            EXPORT,
            (MANIFEST, ref, "outside the run"),
        )
    for id, name in {"up": "decomposition/../../task.yaml", "absolute": "/etc/passwd"}.items():
        yield Case(
            f"manifest-file-{id}",
            _manifest(lambda values, name=name: values["files"].update({name: "0"})),
            SWEEP,
            (MANIFEST, name, "outside the run"),
        )
    yield Case(
        "manifest-model-gone",
        _manifest(lambda values: values["verbs"]["decompose"].update(base_model="/nowhere/at/all")),
        SWEEP,
        ("/nowhere/at/all",),
    )
    yield Case("manifest-a-pipe", lambda place: pipe(place.run / MANIFEST), REPORT, (MANIFEST, "pipe"), hazard=True)


def decompositions() -> Iterator[Case]:
    """The stored decomposition."""
    yield Case("head-changed", lambda place: (place.run / HEAD).write_text("{}"), EXPORT, ("decomposition.json", "changed"))
    for id, text, word in [
        ("not-json", "{", "JSON"),
        ("a-list", "[]", "format"),
        ("format", '{"format": 99}', "format 99"),
        ("backend", '{"format": 2, "backend": ["x"]}', "backend"),
    ]:
        yield Case(f"head-{id}", _sealed(HEAD, text), EXPORT, ("decomposition.json", word))
    for id, text in {
        "not-json": "{\n",
        "a-number": "3\n",
        "nan": '{"s": [NaN]}\n',
        "no-hash": "{}\n",
        "deep": "[" * 100_000 + "\n",
    }.items():
        yield Case(f"lines-{id}", _sealed(LINES, text), EXPORT, ("matrices-000.jsonl",))
    yield Case("lines-none", _sealed(LINES, ""), EXPORT, ("decomposition",))
    for id, changes in {
        "chunk-up": {"chunk": "../../base/model.safetensors"},
        "chunk-number": {"chunk": 3},
        "name-list": {"name": []},
        "name-other": {"name": "model.ghost.weight"},
        "shape": {"shape": [2, 2]},
        "shape-three": {"shape": [1, 2, 3]},
        "path": {"path": "no/such/kernel"},
        "index": {"index": 99},
        "index-text": {"index": "0"},
        "values-text": {"s": ["x"]},
        "values-few": {"s": [1.0]},
        "rank-huge": {"rank": 10**6},
        "rank-text": {"rank": "x"},
        "axes": {"batch_axes": 7},
    }.items():
        yield Case(f"matrix-{id}", _line(**changes), EXPORT, (), begins=True)


def results() -> Iterator[Case]:
    """results.json."""
    for id, text, word in [
        ("nan", '{"records": [NaN]}', "NaN"),
        ("not-json", "{", "JSON"),
        ("a-list", "[]", "not what"),
        ("number", "3", "not what"),
        ("records-number", '{"records": 3}', "not what"),
        ("records-of-numbers", '{"records": [1, 2]}', "not what"),
        ("metrics-text", '{"records": [{"operator": "top_k", "k": 1, "metrics": {"accuracy": "x"}}]}', "not what"),
        ("k-text", '{"records": [{"operator": "top_k", "k": "one"}]}', "not what"),
    ]:
        yield Case(f"results-{id}", _sealed(RESULTS, text), REPORT, (RESULTS, word))
    yield Case("results-changed", lambda place: (place.run / RESULTS).write_text("{}"), REPORT, (RESULTS, "changed"))
    yield Case("results-missing", lambda place: (place.run / RESULTS).unlink(), REPORT, ("run", "results.json"))
    yield Case("results-a-pipe", lambda place: pipe(place.run / RESULTS), REPORT, (RESULTS,), hazard=True)


def records() -> Iterator[Case]:
    """records.jsonl, which a resumed sweep trusts."""
    for id, text in {"not-json": "{\n{}\n", "a-number": "3\n", "empty-object": "{}\n", "not-utf8": "\udcff\n"}.items():
        yield Case(
            f"records-{id}",
            lambda place, text=text: (place.run / "records.jsonl").write_bytes(os.fsencode(text)),
            SWEEP,
            ("records.jsonl",),
            begins=True,
        )


FAULTS = (manifests, decompositions, results, records)
