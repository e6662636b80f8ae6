"""The reference: LAPACK's singular value decomposition in float64."""

import numpy as np
from jaxtyping import Float
from scipy.linalg import svd


def decompose_host(x: Float[np.ndarray, "long r"],
                   leading: int | None = None) -> tuple[Float[np.ndarray, " c"], Float[np.ndarray, "r c"]]:
    """All r components of a tall matrix, by divide and conquer in float64; of them the `leading` largest."""
    _, s, vt = svd(x.astype(np.float64), full_matrices=False, overwrite_a=True, check_finite=False)
    return s[:leading], vt[:leading].T
