"""`jaxtrunc decompose`: two checkpoints in, one singular value decomposition per matrix out."""

import dataclasses
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from jaxtrunc import spectral
from jaxtrunc.config import DecomposeSettings, RunConfig, SweepSettings
from jaxtrunc.core import environment, jsonio, processes
from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.core.processes import is_main, wait_for_all
from jaxtrunc.core.progress import progress, say
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.recipes.chosen import all_matrices, chosen_matrices
from jaxtrunc.recipes.memory import tell_memory
from jaxtrunc.recipes.pair import Pair, open_pair, remember_pair

ARTEFACT = "decomposition"
SPECTRA = "spectra.json"


def decompose(base_model: str, model: str, out_path: Path, settings: DecomposeSettings, *, resume: bool) -> None:
    """Decompose ΔW of a pair of checkpoints into `out_path`/decomposition.

    Raises:
      InputError: the two models do not belong together, a regex selects nothing, or the directory is taken.
    """
    decompose_pair(base_model, model, out_path, settings, resume=resume)
    tell_memory(RunDir(out_path), "decompose", RunConfig("decompose", base_model, {}, model, decompose=settings), Path())


def decompose_pair(base_model: str, model: str, out_path: Path, settings: DecomposeSettings, *, resume: bool) -> None:
    """The same as a part of a larger run."""
    pair = open_pair(base_model, model)
    chosen = chosen_matrices(pair, settings)
    run = RunDir(out_path)
    run.check_free(ARTEFACT, resume=resume)
    with run.lock():
        facts = remember_pair(run, pair) | dataclasses.asdict(settings) | {"environment": environment.describe()}
        run.begin("decompose", ARTEFACT, facts, resume=resume, fixed=("base_model", "model", "include", "exclude", "leading"))
        if run.is_finished(ARTEFACT):
            say(f"decomposition: {run / ARTEFACT} is there already")
            return
        _decompose_into(run, pair, chosen, settings)
    say(f"decomposition: {out_path / ARTEFACT}")


def stored_decomposition(run: RunDir, pair: Pair) -> spectral.Decomposition:
    """The decomposition of a run, if it is whole and that of this pair; else `InputError`."""
    run.verify(ARTEFACT, "decompose")
    decomposition = spectral.load(run / ARTEFACT)
    known = {ref.name: ref for ref in all_matrices(pair)}
    found = [svd.ref for svd in decomposition.matrices.values()] + list(decomposition.skipped.values())
    strangers = [ref.name for ref in found if known.get(ref.name) != ref]
    if strangers:
        raise InputError(f"{run / ARTEFACT}: {shown(strangers[0], 200)} lies elsewhere in {pair.base.ref}; decompose again")
    if not decomposition.matrices:
        raise InputError(f"{run / ARTEFACT}: holds no matrix; decompose again")
    return decomposition


def default_backend() -> str:
    """gram64 where float64 is native and the host is the device; the accelerator's own SVD elsewhere."""
    return "gram64" if jax.default_backend() == "cpu" else "device"


def check_serves(settings: DecomposeSettings, sweep: SweepSettings) -> None:
    """Raise `InputError` if a decomposition as in `settings` will not know the components that the sweep asks for."""
    backend = settings.backend or default_backend()
    tail = [name for name in sweep.operators if spectral.find_operator(name).needs_tail]
    if tail and (settings.leading is not None or spectral.find_backend(backend).leading):
        known = f"backend {backend}" if settings.leading is None else f"leading {settings.leading}"
        raise InputError(f"decompose: {known} gives leading components only, but the operators {', '.join(tail)} need the tail; "
                         "leave them out of sweep.operators, or decompose with gram64 and without leading")


def method_warnings(decomposition: spectral.Decomposition) -> list[str]:
    """What a reader of a report must know of the way its components were found."""
    cost = decomposition.measured.get("float32")
    return [] if cost is None else [f"decomposed with float32 Gram matrices (gram32, --fast): {in_words(cost)}"]


def in_words(cost: Mapping[str, Any]) -> str:
    """What `spectral.float32_cost` found."""
    residual = "" if cost["residual"] is None else (
        f", and ‖ΔW − ΔW_k‖ at most {100 * max(cost['residual'], 0):.2g} % above that of the best approximation")
    return (f"only components above s₁/128; on {cost['matrices']} matrices, against float64, singular values off by at most "
            f"{100 * cost['singular_values']:.2g} %{residual}")


def _decompose_into(run: RunDir, pair: Pair, chosen: list[spectral.MatrixRef], settings: DecomposeSettings) -> None:
    """Matrix by matrix into a staged directory, which becomes RUN/decomposition when everything is in it."""
    base, ft = pair.base.leaves, pair.ft.leaves
    with run.stage(ARTEFACT, resume=True) as staged:
        _keep_what_is_sound(staged)
        with progress("decompose", len(chosen)) as advance:
            decomposition = spectral.decompose_into(
                staged, base, ft, chosen, backend=settings.backend or default_backend(), leading=settings.leading,
                eigensolver=settings.eigensolver, advance=advance)
        if not decomposition.matrices:
            raise InputError(f"{pair.ft.ref}: every selected matrix equals that of {pair.base.ref}: no update")
        if decomposition.backend == "gram32" and is_main():
            decomposition.measured["float32"] = spectral.float32_cost(decomposition, base, ft)
            spectral.write_head(staged, decomposition)
            say(f"gram32: {in_words(decomposition.measured['float32'])}")
        spectra = _spectra(pair, decomposition)
        if is_main():
            jsonio.write_json(staged / SPECTRA, spectra)


def _keep_what_is_sound(staged: Path) -> None:
    """Of an earlier attempt, or of a damaged decomposition that is made again."""
    if is_main():
        for name in spectral.drop_damaged(staged):
            say(f"{name}: what was stored of it is damaged; it is decomposed again")
    wait_for_all("damage is dropped")


def _spectra(pair: Pair, decomposition: spectral.Decomposition) -> dict[str, Any]:
    """Diagnostics of every matrix; several processes divide them and all know all."""
    share = dict(itertools.islice(decomposition.matrices.items(), jax.process_index(), None, jax.process_count()))
    with progress("spectra", len(share)) as advance:
        mine = spectral.diagnostics(dataclasses.replace(decomposition, matrices=share), pair.base.leaves, pair.ft.leaves,
                                    advance=advance)
    found = {name: facts for part in processes.collect(mine) for name, facts in part.items()}
    return {name: found[name] for name in decomposition.matrices}
