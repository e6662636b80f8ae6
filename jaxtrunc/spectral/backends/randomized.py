"""A sketch: the leading components without a full decomposition."""

import numpy as np
from jaxtyping import Float
from scipy.linalg import svd

RANK, OVERSAMPLING, POWER_ITERATIONS = 128, 16, 2


def decompose_randomized(x: Float[np.ndarray, "long r"],
                         leading: int | None = None) -> tuple[Float[np.ndarray, " c"], Float[np.ndarray, "r c"]]:
    """At most 128 leading components of a tall float32 matrix, or as many as `leading` says.

    Range finder with oversampling and orthonormalised power iterations (Halko, Martinsson and Tropp 2011,
    algorithms 4.4 and 5.1). The sketch is the same for every call.
    """
    x, rank = np.ascontiguousarray(x, dtype=np.float32), leading or RANK
    width = min(rank + OVERSAMPLING, x.shape[1])
    sketch = np.random.default_rng(0).standard_normal((x.shape[1], width), dtype=np.float32)
    for _ in range(POWER_ITERATIONS):
        sketch = np.linalg.qr(x.T @ np.linalg.qr(x @ sketch).Q).Q
    _, s, vt = svd(np.linalg.qr(x @ sketch).Q.T @ x, full_matrices=False, check_finite=False)
    return s[:rank].astype(np.float64), vt[:rank].T
