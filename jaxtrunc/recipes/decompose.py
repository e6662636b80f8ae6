"""`jaxtrunc decompose`: two checkpoints in, one singular value decomposition per matrix out."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import jax

from jaxtrunc import spectral
from jaxtrunc.config import DecomposeSettings
from jaxtrunc.core import environment, jsonio, processes
from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.core.processes import is_main, wait_for_all
from jaxtrunc.core.progress import progress, say
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.models import leaf_class
from jaxtrunc.recipes.pair import Pair, open_pair, remember_pair

ARTEFACT = "decomposition"
SPECTRA = "spectra.json"


def decompose(base_model: str, model: str, out_path: Path, settings: DecomposeSettings, *, resume: bool) -> None:
    """Decompose ΔW of a pair of checkpoints into `out_path`/decomposition.

    Raises:
      InputError: the two models do not belong together, a regex selects nothing, or the directory is taken.
    """
    pair = open_pair(base_model, model)
    chosen = chosen_matrices(pair, settings)
    run = RunDir(out_path)
    run.check_free(ARTEFACT, resume=resume)
    with run.lock():
        facts = remember_pair(run, pair) | dataclasses.asdict(settings) | {"environment": environment.describe()}
        run.begin("decompose", ARTEFACT, facts, resume=resume, fixed=("base_model", "model", "include", "exclude"))
        if run.is_finished(ARTEFACT):
            say(f"decomposition: {run / ARTEFACT} is there already")
            return
        _decompose_into(run, pair, chosen, settings.backend or default_backend())
    say(f"decomposition: {out_path / ARTEFACT}")


def chosen_matrices(pair: Pair, settings: DecomposeSettings) -> list[spectral.MatrixRef]:
    """The matrices that the settings select."""
    return spectral.select(_all_matrices(pair), lambda path: leaf_class(pair.cfg, path), settings.include, settings.exclude)


def _all_matrices(pair: Pair) -> list[spectral.MatrixRef]:
    return spectral.references({path: leaf.shape for path, leaf in pair.base.leaves.items()}, pair.names)


def stored_decomposition(run: RunDir, pair: Pair) -> spectral.Decomposition:
    """The decomposition of a run, if it is whole and that of this pair; else `InputError`."""
    run.verify(ARTEFACT, "decompose")
    decomposition = spectral.load(run / ARTEFACT)
    known = {ref.name: ref for ref in _all_matrices(pair)}
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


def _decompose_into(run: RunDir, pair: Pair, chosen: list[spectral.MatrixRef], backend: str) -> None:
    """Matrix by matrix into a staged directory, which becomes RUN/decomposition when everything is in it."""
    base, ft = pair.base.leaves, pair.ft.leaves
    with run.stage(ARTEFACT, resume=True) as staged:
        _keep_what_is_sound(staged)
        with progress("decompose", len(chosen)) as advance:
            decomposition = spectral.decompose_into(staged, base, ft, chosen, backend=backend, advance=advance)
        if not decomposition.matrices:
            raise InputError(f"{pair.ft.ref}: every selected matrix equals that of {pair.base.ref}: no update")
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
