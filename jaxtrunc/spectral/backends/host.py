"""The reference: LAPACK's singular value decomposition in float64."""

import numpy as np
from jaxtyping import Float
from scipy.linalg import svd


def decompose_host(x: Float[np.ndarray, "long r"]) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, "r r"]]:
    """All r components of a tall matrix, by divide and conquer in float64."""
    _, s, vt = svd(x.astype(np.float64), full_matrices=False, overwrite_a=True, check_finite=False)
    return s, vt.T
