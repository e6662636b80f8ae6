"""Next-token pre-training of a small base model from random weights, for work without downloads."""

from pathlib import Path

import jax
from jax.sharding import Mesh

from jaxtrunc.core.trees import Params
from jaxtrunc.data import Stream
from jaxtrunc.models import DecoderConfig, Execution, init_params
from jaxtrunc.train.finetune import finetune
from jaxtrunc.train.settings import PretrainSettings


def pretrain(cfg: DecoderConfig, stream: Stream, settings: PretrainSettings, directory: Path, *,
             execution: Execution, resume: bool = False, mesh: Mesh | None = None) -> Params:
    """Train a randomly initialised decoder on windows of text; arguments, files and errors as in `finetune`."""
    params = init_params(cfg, jax.random.key(settings.seed))
    return finetune(params, cfg, stream, settings, directory, execution=execution, resume=resume, mesh=mesh,
                    title="pre-training")
