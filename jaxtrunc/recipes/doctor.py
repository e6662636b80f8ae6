"""`jaxtrunc doctor`: what is installed, which devices are seen, and whether a small decomposition comes out right."""

import os

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from jaxtrunc import spectral
from jaxtrunc.core import environment
from jaxtrunc.core.errors import JaxtruncError, RunFailed

TOLERANCE = {"gram64": 1e-10, "host": 1e-10, "device": 1e-4}  # of the largest singular value; device is float32


def doctor() -> None:
    """Print the state of the installation; `RunFailed` if a decomposition is wrong."""
    facts = environment.describe()
    table = Table("what", "found", title="jaxtrunc doctor")
    for name, version in facts["versions"].items():
        table.add_row(name, version or "[red]missing[/red]")
    table.add_row("backend", f"{facts['backend']}, {facts['device_count']} × {', '.join(facts['devices'])}")
    table.add_row("platform", facts["platform"])
    table.add_row("cores", str(os.cpu_count()))
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "XLA_FLAGS", "HF_HOME", "HF_HUB_OFFLINE"):
        table.add_row(name, os.environ.get(name, "not set"))
    errors = {backend: decomposition_error(backend) for backend in TOLERANCE}
    for backend, error in errors.items():
        table.add_row(f"decomposition, {backend}", error if isinstance(error, str) else f"σ error {error:.1e}")
    Console().print(table)
    wrong = [name for name, error in errors.items() if isinstance(error, str) or error > TOLERANCE[name]]
    if wrong:
        raise RunFailed(f"doctor: the decomposition is wrong with backend {', '.join(wrong)}; use another --backend")


def decomposition_error(backend: str) -> float | str:
    """Largest error of the singular values of two random matrices, relative to σ₁, against NumPy in float64."""
    update = np.asarray(jax.random.normal(jax.random.key(0), (2, 96, 64)), np.float32)
    base = {"probe": np.zeros_like(update)}
    refs = spectral.references({"probe": update.shape}, None)
    try:
        found = spectral.decompose(base, {"probe": update}, refs, backend=backend)
    except (JaxtruncError, RuntimeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    truth = np.linalg.svd(update.astype(np.float64), compute_uv=False)
    return max(float(np.abs(svd.s - truth[svd.ref.index]).max() / truth[svd.ref.index][0]) for svd in found.matrices.values())
