"""How much of the machine's arithmetic training uses: model FLOPs utilisation (Chowdhery et al. 2022, arXiv 2204.02311, app. B)."""

from dataclasses import dataclass

import numpy as np

from jaxtrunc.core.peak import peak_flops
from jaxtrunc.data import TrainBatch
from jaxtrunc.models import DecoderConfig, Execution, flops


@dataclass(frozen=True)
class Work:
    """What a step has to compute.

    Attributes:
      kernels: passes over the matrices of the layers: 3 where they are trained (forward, gradient of the input, gradient of the
        weights), 2 where they are frozen and only what lies below or beside them is trained.
      head: the same for the head.
    """

    cfg: DecoderConfig
    execution: Execution
    kernels: int
    head: int

    def tokens(self, batch: TrainBatch) -> int:
        """Those that the rows have, whoever computes them."""
        return int(np.sum(batch.lengths)) + len(batch.ids) * len(batch.prefix)

    def of(self, batch: TrainBatch) -> float:
        """Operations that a step on `batch` cannot do without.

        Neither padding counts nor what remat computes twice; what all rows begin with counts once, and the last layer and the
        head at the targets alone.
        """
        targets = int(np.sum(batch.targets >= 0))
        tokens = int(np.sum(batch.lengths[:len(batch.ids)])) + len(batch.prefix)
        return float(self.kernels * flops.body(self.cfg, tokens, targets) + self.head * targets * flops.head(self.cfg))

    def peak(self) -> float:
        """Operations per second that the machine reaches in a large product of the same dtype; measured."""
        return peak_flops(self.execution.compute_dtype, self.execution.mesh)
