"""Training one sparse autoencoder: step, watch, checkpoint, and stop or continue without a trace of the interruption."""

from dataclasses import asdict
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxtrunc.core.checkpoints import CheckpointStore
from jaxtrunc.core.errors import InputError, Interrupted, RunFailed
from jaxtrunc.core.mesh import place
from jaxtrunc.core.progress import progress, say
from jaxtrunc.core.stopping import agreement, stop_request
from jaxtrunc.sae.sae import SAE
from jaxtrunc.sae.training.buffer import ShuffledBuffer, Source
from jaxtrunc.sae.training.log import TrainingLog
from jaxtrunc.sae.training.result import trained_sae
from jaxtrunc.sae.training.settings import SAETraining, differences
from jaxtrunc.sae.training.state import SAEState, first_state
from jaxtrunc.sae.training.step import train_step

TITLE = "sae train"


def train_sae(source: Source, settings: SAETraining, directory: Path, *, d: int, mesh: Mesh | None = None,
              resume: bool = False) -> SAE:
    """Train on activations (rows, d) from `source` and return the autoencoder of the activations as they come.

    Every process is given the same chunks.

    Args:
      source: where activations come from; asked for as many as the run needs.
      settings: kind, sizes, rates.
      directory: gets metrics.jsonl and checkpoints/.
      d: width of the activations.
      mesh: of one axis `dictionary`, over which the latents are divided; None: one device.
      resume: continue from the newest checkpoint, if there is one.

    Raises:
      InputError: checkpoints are there but `resume` is not given, or they belong to other settings; the activations end too
        early or have another width.
      RunFailed: a loss or an activation is not finite. The last good checkpoint stays.
      Interrupted: SIGINT or SIGTERM came; a checkpoint was written.
    """
    buffer = ShuffledBuffer(source, d=d, batch=settings.batch, batches=settings.buffer_batches, seed=settings.seed)
    if settings.dead_tokens > (total := settings.steps * settings.batch):
        say(f"{TITLE}: no latent can count as dead: the run has {total:,} activations, dead_tokens is {settings.dead_tokens:,}")
    with CheckpointStore(directory / "checkpoints") as store:
        state = _start(buffer, settings, store, mesh, resume)
        try:
            state = _run(buffer, settings, state, store, mesh)
        except RunFailed as failure:
            kept = f"checkpoint {store.steps[-1]} in {store.directory} is good" if store.steps else "no checkpoint yet"
            raise RunFailed(f"{failure}; {kept}") from None
        return trained_sae(state, settings)


def _start(buffer: ShuffledBuffer, settings: SAETraining, store: CheckpointStore, mesh: Mesh | None, resume: bool) -> SAEState:
    """The state to begin with: fresh, or that of the newest checkpoint."""
    if store.steps and not resume:
        raise InputError(f"{store.directory}: holds checkpoints of an earlier run; --resume continues it")
    if store.steps:
        newest = store.steps[-1]
        facts = store.facts(newest)
        if changed := differences(facts["settings"], settings):
            raise InputError(f"{store.directory}: cannot resume with other settings: {'; '.join(changed)}")
        buffer.restore(facts["position"])
        say(f"{TITLE}: resuming after step {newest} of {settings.steps}")
        return store.load(newest, first_state(settings, np.zeros(buffer.d), 1.0, mesh))
    mean, square = buffer.moments()
    if square == 0:
        raise RunFailed(f"sae: all {settings.buffer_batches * settings.batch} activations that were read first are zero")
    return first_state(settings, mean, square, mesh)


def _run(buffer: ShuffledBuffer, settings: SAETraining, state: SAEState, store: CheckpointStore, mesh: Mesh | None) -> SAEState:
    done = int(state.step)
    log = TrainingLog(store.directory.parent / "metrics.jsonl", settings, done)
    with stop_request() as request, progress(TITLE, settings.steps) as advance:
        stop = agreement(request, mesh)
        advance(done)
        while done < settings.steps:
            state, measured = train_step(state, _placed(next(buffer), mesh), settings, mesh)
            log.add(measured)
            done += 1
            stopped = stop()
            saves = stopped or done == settings.steps or done % settings.checkpoint_every == 0
            if saves or done % settings.log_every == 0:
                log.flush()
            if saves:
                store.save(done, state, {"settings": asdict(settings), "position": buffer.state})
            if stopped and done < settings.steps:
                raise Interrupted(f"{stopped} after step {done} of {settings.steps}; everything so far is in "
                                  f"{store.directory.parent}, resume with --resume")
            advance(1, log.note)
    return jax.block_until_ready(state)


def _placed(x: np.ndarray, mesh: Mesh | None) -> jax.Array:
    """Every device sees every activation."""
    return jnp.asarray(x) if mesh is None else place(x, NamedSharding(mesh, P()))
