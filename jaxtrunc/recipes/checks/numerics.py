"""How exact this machine computes: matrix products, float64, and a small decomposition on every backend."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType

from jaxtrunc import spectral
from jaxtrunc.core.errors import JaxtruncError
from jaxtrunc.recipes.checks.finding import Finding, Findings
from jaxtrunc.spectral.backends import BACKENDS

# Largest error of a 256 × 256 product of normal numbers, relative to its largest entry, by the format of the operands.
FORMATS = ((1e-12, "float64"), (3e-6, "float32"), (8e-4, "TF32, or a few bf16 passes"), (float("inf"), "bf16"))
EXACT = 3e-6
# Of the singular values, relative to the largest; the last three work in float32, on a TPU device does too.
TOLERANCE = {"gram64": 1e-10, "host": 1e-10, "device": 1e-4, "randomized": 1e-3, "gram32": 1e-3}


def precision() -> Findings:
    """Errors of a small product: as JAX computes it by default, and as jaxtrunc asks for it."""
    default, highest = product_error("default"), product_error("highest")
    remedy = "" if highest <= EXACT else (
        "Products that must be exact are not: unset XLA_FLAGS and bring the driver and jaxlib up to date.")
    return [Finding("product, default precision", _in_words(default)),
            Finding("product, highest (jaxtrunc's)", _in_words(highest), remedy, wrong=bool(remedy)),
            Finding("float64 on devices", _in_words(product_error("highest", jnp.float64)) if _has_float64() else
                    "none: the device backend works in float32 here; gram64 and host use the host's")]


def product_error(precision: str, dtype: type = jnp.float32) -> float:
    """Largest error of a 256 × 256 product on the first local device, relative to its largest entry."""
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((256, 256)).astype(dtype) for _ in range(2))
    with jax.enable_x64(dtype == jnp.float64), jax.default_matmul_precision(precision):
        found = np.asarray(jnp.dot(x, y), np.float64)
    exact = x.astype(np.longdouble) @ y.astype(np.longdouble)
    return float(np.abs(found - exact).max() / np.abs(exact).max())


def _in_words(error: float) -> str:
    return f"error {error:.0e} ({next(name for limit, name in FORMATS if error <= limit)})"


def _has_float64() -> bool:
    return jax.default_backend() != "tpu"


def decomposition() -> Findings:
    """A small decomposition on every backend, against LAPACK in float64."""
    return [_decomposition(backend) for backend in BACKENDS]


def _decomposition(backend: str) -> Finding:
    what = f"decomposition, {backend}"
    remedy = "Use another --backend, and report this."
    try:
        error = decomposition_error(backend)
    except (JaxtruncError, RuntimeError, ValueError) as failure:
        return Finding(what, f"{type(failure).__name__}: {failure}", remedy, wrong=True)
    if not error <= TOLERANCE[backend]:
        return Finding(what, f"error of a singular value {error:.0e}, above {TOLERANCE[backend]:.0e}", remedy, wrong=True)
    return Finding(what, f"error of a singular value {error:.0e}")


def decomposition_error(backend: str) -> float:
    """Largest error of the singular values of two random matrices, relative to σ₁; local to this process."""
    update = np.random.default_rng(0).standard_normal((2, 96, 64)).astype(np.float32)
    local = jax.make_mesh((jax.local_device_count(),), ("stack",), axis_types=(AxisType.Explicit,), devices=jax.local_devices())
    refs = spectral.references({"probe": update.shape}, None)
    found = spectral.decompose({"probe": np.zeros_like(update)}, {"probe": update}, refs, backend=backend, mesh=local)
    truth = np.linalg.svd(update.astype(np.float64), compute_uv=False)
    return max(float(np.abs(svd.s - truth[svd.ref.index, :len(svd.s)]).max() / truth[svd.ref.index][0])
               for svd in found.matrices.values())
