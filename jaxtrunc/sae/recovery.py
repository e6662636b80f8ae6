"""How far apart two subspaces are: recovery error, principal angles, Grassmann distance; energy inside a subspace.

Every function takes columns that span a subspace of R^d, of whatever rank each, and works in float64. Errors and energies come
from residuals, never from differences of traces or norms: those lose half of the digits where the subspaces nearly agree.
"""

import numpy as np
from jaxtyping import Float
from scipy.linalg import orth, subspace_angles

Columns = Float[np.ndarray, "d r"]


def recovery_error(u: Columns, v: Columns) -> float:
    """E = ‖P_U − P_V‖_F: 0 for one span, √(rank U + rank V) for orthogonal ones, √(2 Σ sin²θ) for equal ranks."""
    q_u, q_v = _basis(u), _basis(v)
    return float(np.hypot(np.linalg.norm(_outside(q_u, q_v)), np.linalg.norm(_outside(q_v, q_u))))


def principal_angles(u: Columns, v: Columns) -> Float[np.ndarray, " r"]:
    """Angles in radians, ascending, as many as the smaller rank.

    SciPy takes those below π/4 from sines (Knyazev and Argentati 2002), for arccos would lose half of the digits.
    """
    return subspace_angles(np.asarray(u, np.float64), np.asarray(v, np.float64))[::-1]


def grassmann_distance(u: Columns, v: Columns) -> float:
    """√Σθ² in radians."""
    return float(np.linalg.norm(principal_angles(u, v)))


def mean_angle(u: Columns, v: Columns) -> float:
    """The mean principal angle in radians."""
    return float(principal_angles(u, v).mean())


def energy_outside(rows: Float[np.ndarray, "m d"], u: Columns) -> float:
    """The share of ‖rows‖² outside span(U), in [0, 1]; 0 for rows that are all zero.

    For ΔK (d_in, d_out) and U (d_out, r) this is what of the update's output leaves the subspace.
    """
    rows = np.asarray(rows, np.float64)
    whole = np.linalg.norm(rows)
    return float((np.linalg.norm(_outside(rows.T, _basis(u))) / whole) ** 2) if whole else 0.0


def _basis(columns: Columns) -> Columns:
    return orth(np.asarray(columns, np.float64))


def _outside(columns: Columns, basis: Columns) -> Columns:
    return columns - basis @ (basis.T @ columns)
