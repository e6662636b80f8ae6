"""The singular value decomposition of an update, and every way to cut it. Sees pytrees, never models."""

from jaxtrunc.spectral.decompose import decompose, each
from jaxtrunc.spectral.decomposition import Decomposition, MatrixSVD, Spectrum
from jaxtrunc.spectral.diagnostics import diagnostics, spectral_distance
from jaxtrunc.spectral.levels import Level, plan_levels
from jaxtrunc.spectral.operators import OPERATORS, find_operator
from jaxtrunc.spectral.reconstruct import Reconstructor, Weights
from jaxtrunc.spectral.select import select
from jaxtrunc.spectral.store import Store, load, save
from jaxtrunc.spectral.view import Layout, MatrixRef, references

__all__ = [
    "OPERATORS", "Decomposition", "Layout", "Level", "MatrixRef", "MatrixSVD", "Reconstructor", "Spectrum", "Store", "Weights",
    "decompose", "diagnostics", "each", "find_operator", "load", "plan_levels", "references", "save", "select",
    "spectral_distance",
]
