"""The fast one: a float32 Gram matrix, for leading components."""

import numpy as np
from jaxtyping import Float

from jaxtrunc.spectral.backends.gram import gram_matrix, roots_and_vectors

LEADING = 2.0**-7
"""Components below this share of s₁ are dropped: squaring the condition number leaves them 2 to 3 digits."""


def decompose_gram32(x: Float[np.ndarray, "long r"],
                     leading: int | None = None) -> tuple[Float[np.ndarray, " c"], Float[np.ndarray, "r c"]]:
    """The components with s_i ≥ s₁/128 of a tall float32 matrix, `leading` of them at most: σ_i to about 2e-3·σ_i."""
    s, vectors = roots_and_vectors(gram_matrix(x, np.float32), leading)
    known = s >= LEADING * s[0]
    return s[known].astype(np.float64), vectors[:, known]
