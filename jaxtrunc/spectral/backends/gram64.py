"""The default on CPU: float64 Gram matrix of the shorter side and its eigenvectors."""

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh


def decompose_gram64(x: Float[np.ndarray, "long r"]) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, "r r"]]:
    """All r components of a tall float32 matrix: σ_i to about 1e-14·s₁ and 1e-9·σ_i down to s₁/10⁶.

    σ_i is the float64 norm of x·v_i, not √λ_i, which would lose κ²·2⁻⁵³. Towards s₁·2⁻²⁶ and below, the vectors are a basis
    of the joint subspace only, and σ_i errs by up to 1e-8·s₁.
    """
    wide = x.astype(np.float64)
    gram = wide.T @ wide  # NumPy calls syrk when both operands are one array
    _, vectors = eigh(gram, driver="evd", overwrite_a=True, check_finite=False)
    s = np.linalg.norm(wide @ vectors, axis=0)
    order = np.argsort(-s, kind="stable")
    return s[order], vectors[:, order]
