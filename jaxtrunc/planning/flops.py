"""Floating-point operations, a multiplication and an addition counted as two."""

from collections.abc import Iterable

from jaxtrunc.models.flops import body_per_token, head
from jaxtrunc.planning.job import Job, Matrix


def decomposition(matrices: Iterable[Matrix]) -> int:
    """Gram matrix of the shorter side (symmetric: half of it), its eigenvectors (6 r³), and ΔW·V."""
    return sum(3 * matrix.long * matrix.short**2 + 6 * matrix.short**3 for matrix in matrices)


def training_step(job: Job) -> int:
    """Forward, twice as much backward, and with remat the forward once more; the head at the two tokens of an answer."""
    assert job.train is not None
    passes = 4 if job.train.remat else 3
    return passes * job.train.batch_size * (job.tokens * body_per_token(job.cfg) + 2 * head(job.cfg))


def prompt(job: Job) -> int:
    """One prompt at one level: the body at every token, the head at the last."""
    return job.tokens * body_per_token(job.cfg) + head(job.cfg)
