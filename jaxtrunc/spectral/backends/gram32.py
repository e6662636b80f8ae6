"""The fast one: a float32 Gram matrix, for leading components."""

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh

LEADING = 2.0**-7
"""Components below this share of s₁ are dropped: squaring the condition number leaves them under 3 digits."""


def decompose_gram32(x: Float[np.ndarray, "long r"]) -> tuple[Float[np.ndarray, " c"], Float[np.ndarray, "r c"]]:
    """The components with s_i ≥ s₁/128 of a tall float32 matrix, to about 1e-3 relative."""
    x = np.ascontiguousarray(x, dtype=np.float32)
    _, vectors = eigh(x.T @ x, driver="evd", overwrite_a=True, check_finite=False)
    s = np.linalg.norm(x @ vectors, axis=0).astype(np.float64)
    order = np.argsort(-s, kind="stable")
    order = order[s[order] >= LEADING * s.max()]
    return s[order], vectors[:, order]
