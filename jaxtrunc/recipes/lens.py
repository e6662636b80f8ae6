"""`jaxtrunc lens`: read one tensor of a model, take it apart, and write down what the output head has learned."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxtrunc import lens as science
from jaxtrunc.core import environment, jsonio
from jaxtrunc.core.chunks import Rows
from jaxtrunc.core.errors import InputError, RunFailed
from jaxtrunc.core.files import new_directory, refuse_taken
from jaxtrunc.core.head import final_gain, head_files
from jaxtrunc.core.mesh import spectral_mesh
from jaxtrunc.core.progress import Advance, progress, say
from jaxtrunc.lens.align import align
from jaxtrunc.lens.display import read_redactions
from jaxtrunc.lens.rows import FirstRows, ScaledRows
from jaxtrunc.models import load_tokenizer, resolve_ref
from jaxtrunc.recipes.lens_gates import judge, parse_gates
from jaxtrunc.report.lens import write_lens_page

SCHEMA_VERSION = 1
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt")


@dataclass(frozen=True)
class LensRequest:
    """What the command line asks for, besides the model and where to write; `settings` as in `jaxtrunc.lens`."""

    compare: str | None = None
    tokenizer: Path | None = None
    key: str | None = None
    k: int = 30
    m: int = 20
    fold_norm: bool = False
    drop_padding: bool = False
    fast: bool = False
    unused_ids: tuple[int, ...] = ()
    redact: Path | None = None
    ids_only: bool = False
    fail_on: str = ""

    @property
    def settings(self) -> science.LensSettings:
        """Those of the audit."""
        return science.LensSettings(k=self.k, m=self.m)


@dataclass(frozen=True)
class Model:
    """A head that was found and checked, its tokens, and what lens.json says of where they come from."""

    rows: Rows
    vocabulary: science.Vocabulary
    source: dict[str, Any]
    tokenizer: dict[str, Any] | None


def lens(ref: str, out_path: Path | None, request: LensRequest) -> None:
    """Audit the head of a model, and what a fine-tuned twin made of it, into `out_path`.

    Raises:
      InputError: anything wrong with the model, its head, its tokenizer or the flags; nothing is written then.
      RunFailed: a gate of `fail_on` was crossed; everything is written.
    """
    out = out_path or Path("runs") / f"{Path(ref).name.replace('@', '-')}-lens"
    refuse_taken(out)
    gates = parse_gates(request.fail_on, compared=request.compare is not None)
    model = open_model(ref, request.tokenizer, request)
    tuned = None if request.compare is None else open_model(request.compare, None, request)
    if tuned is not None:
        align(model, tuned)  # so that what cannot be compared is refused before the work
    say(f"lens: {out}")
    with new_directory(out) as staged, progress("lens", 3 if tuned is None else 5) as advance:
        facts, arrays = audited(model, tuned, request, advance)
        facts["gates"] = judge(gates, facts)
        np.savez(staged / "lens.npz", allow_pickle=False, **arrays)
        facts = jsonio.strict(facts)
        jsonio.write_json(staged / "lens.json", facts)
        write_lens_page(staged, facts)
    for warning in facts["warnings"]:
        say(f"warning: {warning}")
    say(f"lens: {out / 'report.html'}")
    _refuse_crossed(facts["gates"])


def open_model(ref: str, tokenizer: Path | None, request: LensRequest) -> Model:
    """Find the head and read the tokenizer, if there is one; the head's values are not read yet."""
    if "+" in ref and not Path(ref).is_dir():
        raise InputError(f"{ref}: the lens reads one tensor of one directory; merge the adapter into a model directory first")
    directory = resolve_ref(ref, needed=lambda folder: head_files(folder, request.key, gain=request.fold_norm))
    head = science.read_head(directory, request.key)
    folder = tokenizer or _own_tokenizer(directory)
    vocabulary = _vocabulary(folder, head.shape[0], request)
    rows: Rows = head
    if request.fold_norm:
        rows = ScaledRows(rows, final_gain(directory, head.model_type, head.shape[1]))
    if request.drop_padding:
        if vocabulary.length is None:
            raise InputError(f"{ref}: --drop-padding needs a tokenizer, which says where padding begins; give --tokenizer")
        rows, vocabulary = FirstRows(rows, vocabulary.length), vocabulary.rows(np.arange(vocabulary.length))
    source = {"model": ref, "file": head.info.file.name, "key": head.key, "shape": head.shape, "dtype": head.dtype.name,
              "tied": head.tied, "model_type": head.model_type}
    return Model(rows, vocabulary, source,
                 None if folder is None else {"directory": str(tokenizer or ref), "length": vocabulary.length})


def audited(model: Model, tuned: Model | None, request: LensRequest,
            advance: Advance) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The contents of lens.json (but for the gates) and of lens.npz."""
    settings = request.settings
    found = _audit(model, request)
    advance(1, "decomposed")
    scores = science.wps(found.rows, found.svd)
    origin, reference = science.reference_ids(found.vocabulary, _known(request.unused_ids, found.rows.shape[0]))
    glitches = science.find_glitches(found, scores, reference)
    advance(1, "scored")
    facts = _head_of_facts(model, found, request) | science.lens_facts(found, scores, glitches, settings)
    facts["config"]["nn_rows"] = int(np.sum(~np.isnan(glitches.nn5)))
    facts["glitch"]["reference"] = {"from": origin, "count": len(reference)} if len(reference) else None
    facts["comparison"] = None if tuned is None else _comparison(found, model, tuned, request, advance)
    facts["worksheet"] = science.worksheet(facts)
    if model.tokenizer is None:
        facts["warnings"].append("no tokenizer was found beside the model or given with --tokenizer: tokens are shown by their "
                                 "ids, and padding, special and unreachable ones are not told apart")
    advance(1, "described")
    return facts, science.lens_arrays(found, scores, glitches)


def _audit(model: Model, request: LensRequest) -> science.Audit:
    name = f"{model.source['model']}: {model.source['file']}: '{model.source['key']}'"
    return science.audit(model.rows, model.vocabulary, request.settings, mesh=_mesh(), fast=request.fast, name=name)


def _head_of_facts(model: Model, found: science.Audit, request: LensRequest) -> dict[str, Any]:
    settings = request.settings
    return {
        "schema_version": SCHEMA_VERSION,
        "config": {"k": settings.k, "m": settings.m, "draws": settings.draws, "seed": settings.seed, "flag_z": settings.flag_z,
                   "drop_padding": request.drop_padding, "fold_norm": request.fold_norm, "fast": request.fast,
                   "passes": found.svd.passes},
        "source": model.source | {"sha256": found.examined.sha256}, "tokenizer": model.tokenizer,
        "environment": {"versions": environment.versions()},
        "text_policy": {"ids_only": request.ids_only, "redacted": found.vocabulary.masked},
    }  # fmt: skip


def _comparison(found: science.Audit, model: Model, tuned: Model, request: LensRequest, advance: Advance) -> dict[str, Any]:
    other = _audit(tuned, request)
    advance(1, "twin decomposed")
    compared = science.compare_audits(found, other, request.settings)
    advance(1, "compared")
    return {"source": tuned.source | {"sha256": other.examined.sha256},
            "heads": _state(model, tuned, unchanged=compared["unchanged"])} | compared


def _state(model: Model, tuned: Model, *, unchanged: bool) -> str:
    """Whether there was anything that training could change."""
    ties = {True: "tied to its embedding", False: "a matrix of its own", None: "of unknown kind (no config.json)"}
    said = f"The head of the base is {ties[model.source['tied']]}, that of the tuned model {ties[tuned.source['tied']]}. "
    return said + ("Both hold the same bits: the head was frozen or not trained, and an untouched head cannot lose a group."
                   if unchanged else "They differ, so that training, or rounding, reached the head.")


def _mesh() -> Mesh | None:
    """The devices, where they are worth the way; on CPU the threads of the host do it."""
    return None if jax.default_backend() == "cpu" else spectral_mesh()


def _own_tokenizer(directory: Path) -> Path | None:
    return directory if any((directory / name).is_file() for name in TOKENIZER_FILES) else None


def _vocabulary(folder: Path | None, rows: int, request: LensRequest) -> science.Vocabulary:
    if folder is None:
        return science.unknown_vocabulary(rows)
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a directory that holds a tokenizer (--tokenizer)")
    masks = read_redactions(request.redact) if request.redact else ()
    return science.read_vocabulary(load_tokenizer(folder), rows, masks=masks, ids_only=request.ids_only, name=str(folder))


def _known(ids: Sequence[int], rows: int) -> Sequence[int]:
    strange = [token for token in ids if not 0 <= token < rows]
    if strange:
        raise InputError(f"--unused-ids: {strange[0]} is no row of a head with {rows} rows")
    return ids


def _refuse_crossed(gates: Sequence[dict[str, Any]]) -> None:
    crossed = [f"{gate['gate']} ({gate['value']:.6g})" for gate in gates if gate["crossed"]]
    if crossed:
        raise RunFailed(f"--fail-on: {', '.join(crossed)}: {len(crossed)} of {len(gates)} gates crossed")
