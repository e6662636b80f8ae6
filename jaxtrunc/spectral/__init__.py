"""The singular value decomposition of an update, and every way to cut it. Sees pytrees, never models.

    refs = select(references(shapes, names), classes)
    decomposition = decompose(base, ft, refs)
    weights = Reconstructor(decomposition, base, ft).weights(Level("top_k", k=8)).leaves

For two trees of one's own model, `delta_svd(base, ft).params(Level("top_k", k=8))` does all of it.
"""

from jaxtrunc.spectral.backends import find_backend
from jaxtrunc.spectral.damage import drop_damaged
from jaxtrunc.spectral.decompose import decompose
from jaxtrunc.spectral.decomposition import Decomposition, MatrixSVD, Spectrum
from jaxtrunc.spectral.diagnostics import diagnostics
from jaxtrunc.spectral.float32_cost import float32_cost
from jaxtrunc.spectral.levels import Level, plan_levels
from jaxtrunc.spectral.operators import OPERATORS, Operator, find_operator
from jaxtrunc.spectral.order import flat_share
from jaxtrunc.spectral.pytree import TreeUpdate, delta_svd
from jaxtrunc.spectral.reconstruct import Reconstructor, Weights
from jaxtrunc.spectral.select import select, shape_class
from jaxtrunc.spectral.shares import divide
from jaxtrunc.spectral.similarity import similarity, spectral_similarity
from jaxtrunc.spectral.store import decompose_into, load, save, write_head
from jaxtrunc.spectral.trust import distrust
from jaxtrunc.spectral.view import Layout, MatrixRef, View, references

__all__ = [
    "OPERATORS", "Decomposition", "Layout", "Level", "MatrixRef", "MatrixSVD", "Operator", "Reconstructor", "Spectrum",
    "TreeUpdate", "View", "Weights", "decompose", "decompose_into", "delta_svd", "diagnostics", "distrust", "divide",
    "drop_damaged", "find_backend", "find_operator", "flat_share", "float32_cost", "load", "plan_levels", "references", "save",
    "select", "shape_class", "similarity", "spectral_similarity", "write_head",
]
