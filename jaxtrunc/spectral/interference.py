"""How much the singular directions of several matrices overlap, in NumPy or JAX."""

from typing import Any, Literal

Normalize = Literal["none", "pairs"]


def sti(u: Any, s: Any, v: Any, normalize: Normalize = "pairs") -> Any:
    """Singular task interference ‖(UᵀU − 1) diag(σ) (VᵀV − 1)‖₁, the sum of absolute entries.

    Gargiulo et al. 2025, "Task Singular Vectors" (arXiv 2412.00081), eq. 5.

    Args:
      u, v: `(m, k)` and `(n, k)`, the bases of all tasks side by side; columns of zeros take no part.
      s: `(k,)`, their singular values.
      normalize: pairs divides by k(k − 1) of the columns that are not zero.
    """
    xp = u.__array_namespace__()
    used = (u * u).sum(0) > 1e-12
    identity = xp.diag(used.astype(u.dtype))
    total = xp.abs((u.T @ u - identity) @ ((s * used)[:, None] * (v.T @ v - identity))).sum()
    count = used.sum()
    return total / xp.maximum(count * (count - 1), 1) if normalize == "pairs" else total
