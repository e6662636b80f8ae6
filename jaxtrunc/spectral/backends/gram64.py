"""The default on CPU: float64 Gram matrix of the shorter side and its eigenvectors."""

import numpy as np
from jaxtyping import Float

from jaxtrunc.spectral.backends.gram import gram_matrix, lengths, roots_and_vectors

STRONG = 2.0**-8
"""Down to this share of s₁ √λ_i is used: its error, at most about 2⁻⁵³·s₁²/σ_i, is then under 1e-14·s₁ and 1e-11·σ_i."""


def decompose_gram64(x: Float[np.ndarray, "long r"],
                     leading: int | None = None) -> tuple[Float[np.ndarray, " c"], Float[np.ndarray, "r c"]]:
    """All r components of a tall float32 matrix, or the `leading` largest: σ_i to about 1e-14·s₁ and 1e-9·σ_i down to s₁/10⁶.

    Below s₁/256, σ_i is the float64 norm of x·v_i, not √λ_i, which would lose κ²·2⁻⁵³. Towards s₁·2⁻²⁶ and below, the vectors
    are a basis of the joint subspace only, and σ_i errs by up to 1e-8·s₁.
    """
    s, vectors = roots_and_vectors(gram_matrix(x, np.float64), leading)
    weak = int(np.sum(s >= STRONG * s[0]))
    if weak < len(s):
        s[weak:] = lengths(x, vectors[:, weak:])
    order = np.argsort(-s, kind="stable")
    return s[order], vectors[:, order]
