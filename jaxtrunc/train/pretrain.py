"""Next-token pre-training of a small base model from random weights, for work without downloads."""

from functools import partial
from pathlib import Path

import jax
from jax.sharding import Mesh

from jaxtrunc.core.mesh import param_shardings
from jaxtrunc.core.trees import Params, flatten, unflatten
from jaxtrunc.data import Stream
from jaxtrunc.models import DecoderConfig, Execution, abstract_params, init_params
from jaxtrunc.train.finetune import finetune
from jaxtrunc.train.settings import PretrainSettings


def pretrain(cfg: DecoderConfig, stream: Stream, settings: PretrainSettings, directory: Path, *,
             execution: Execution, resume: bool = False, mesh: Mesh | None = None) -> Params:
    """Train a randomly initialised decoder on windows of text; arguments, files and errors as in `finetune`."""
    params = first_params(cfg, settings.seed, mesh)
    return finetune(params, cfg, stream, settings, directory, execution=execution, resume=resume, mesh=mesh,
                    title="pre-training")


def first_params(cfg: DecoderConfig, seed: int, mesh: Mesh | None) -> Params:
    """Random parameters, drawn where they lie; their values do not depend on the mesh."""
    layout = None if mesh is None else unflatten(param_shardings(mesh, flatten(abstract_params(cfg))))
    return jax.jit(partial(init_params, cfg), out_shardings=layout)(jax.random.key(seed))
