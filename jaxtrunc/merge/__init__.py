"""Merging models: task vectors, their interference, and orthogonal merging (arXiv 2604.04231). Sees pytrees, never models.

    params = merge(base, [one, two], "orthogonal", rank=0.25)
    update = merge_orthogonal([one_minus_base, two_minus_base], rank="1/T", sigma="keep")
"""

from jaxtrunc.merge.interference import frobenius_cosines, interference, principal_cosines
from jaxtrunc.merge.pytree import merge, merge_orthogonal
from jaxtrunc.merge.settings import ALIASES, METHODS, MergeSettings
from jaxtrunc.merge.stream import merge_tensors
from jaxtrunc.merge.tensors import Inputs, Slot
from jaxtrunc.spectral.interference import sti

__all__ = ["ALIASES", "METHODS", "Inputs", "MergeSettings", "Slot", "frobenius_cosines", "interference", "merge",
           "merge_orthogonal", "merge_tensors", "principal_cosines", "sti"]
