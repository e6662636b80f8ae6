"""Which features differ between aligned and unaligned responses: pooled, summed while they stream by, compared, chosen."""

from jaxtrunc.sae.selection.choose import Selection, select, shuffled
from jaxtrunc.sae.selection.permutation import LabelPermutations
from jaxtrunc.sae.selection.pooling import POOLINGS, Pooled, pool
from jaxtrunc.sae.selection.separability import Separability
from jaxtrunc.sae.selection.sums import ClassSums

__all__ = ["POOLINGS", "ClassSums", "LabelPermutations", "Pooled", "Selection", "Separability", "pool", "select", "shuffled"]
