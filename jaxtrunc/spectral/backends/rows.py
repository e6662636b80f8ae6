"""A matrix too long for one device, such as a vocabulary: rows over the whole mesh, sums of Gram matrices."""

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float

from jaxtrunc.core.progress import say
from jaxtrunc.core.rows_mesh import has_float64
from jaxtrunc.core.tall import tall_svd
from jaxtrunc.spectral.backends.gram64 import decompose_gram64

RATIO = 16
"""From this ratio of its sides on, a matrix is cheaper by its Gram matrix, even though the host solves that."""

BYTES = 4 << 30
"""A float64 matrix of more bytes is not put on one device."""

TOLERANCE = 1e-10


def by_rows(shape: tuple[int, int]) -> bool:
    """Whether a tall matrix `(long, r)` is divided by rows instead of lying whole on one device."""
    return shape[0] > RATIO * shape[1] or 8 * shape[0] * shape[1] > BYTES


def decompose_rows(tall: Float[np.ndarray, "long r"], mesh: Mesh) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, "r r"]]:
    """All r components of one tall float32 matrix, each device holding some rows: `core.tall` with two passes as needed.

    As accurate as `gram64` where the platform has float64. Elsewhere σ_i is right to about 1e-6 relative down to s₁/10⁴, and the
    basis is returned in float32, which says so.
    """
    try:
        found = tall_svd(tall, mesh, tolerance=TOLERANCE)
    except (jax.errors.JaxRuntimeError, ValueError, np.linalg.LinAlgError) as error:  # not finite, or not positive, counts too
        say(f"device decomposition of {tall.shape} failed, done on the host instead: {str(error).splitlines()[0]}")
        return decompose_gram64(tall)
    return found.s, found.v if has_float64(mesh) else found.v.astype(np.float32)
