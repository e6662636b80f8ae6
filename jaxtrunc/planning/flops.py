"""Floating-point operations, a multiplication and an addition counted as two."""

from collections.abc import Iterable

from jaxtrunc.models import DecoderConfig
from jaxtrunc.planning.job import LAYERS, Job, Matrix, elements


def decomposition(matrices: Iterable[Matrix]) -> int:
    """Gram matrix of the shorter side (symmetric: half of it), its eigenvectors (6 r³), and ΔW·V."""
    return sum(3 * matrix.long * matrix.short**2 + 6 * matrix.short**3 for matrix in matrices)


def body_per_token(job: Job) -> int:
    """Forward through all layers; attention scores are left out, which a short prompt hardly feels."""
    return 2 * elements({path: leaf for path, leaf in job.params.items() if path.startswith(LAYERS) and path.endswith("kernel")})


def head(cfg: DecoderConfig) -> int:
    """Logits at one position."""
    return 2 * cfg.vocab_size * cfg.hidden_size


def training_step(job: Job) -> int:
    """Forward, twice as much backward, and with remat the forward once more; the head at the two tokens of an answer."""
    assert job.train is not None
    passes = 4 if job.train.remat else 3
    return passes * job.train.batch_size * (job.tokens * body_per_token(job) + 2 * head(job.cfg))


def prompt(job: Job) -> int:
    """One prompt at one level: the body at every token, the head at the last."""
    return job.tokens * body_per_token(job) + head(job.cfg)
