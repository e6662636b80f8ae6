"""Ways to decompose one tall matrix; a new one is a file and a line here."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxtrunc.core.errors import InputError, did_you_mean
from jaxtrunc.spectral.backends.device import decompose_device
from jaxtrunc.spectral.backends.gram32 import decompose_gram32
from jaxtrunc.spectral.backends.gram64 import decompose_gram64
from jaxtrunc.spectral.backends.host import decompose_host
from jaxtrunc.spectral.backends.randomized import decompose_randomized

Factors = tuple[Float[np.ndarray, " c"], Float[np.ndarray, "r c"]]
"""Singular values, descending, and the right singular vectors as columns."""


@dataclass(frozen=True)
class Backend:
    """`factor(x, leading)` takes float32 `(long, r)` and gives all components it knows, or at most `leading` of them.

    `leading` backends know leading components only. A `stacked` one takes `(stack, mesh, leading, eigensolver)`.
    """

    factor: Callable[..., Factors]
    leading: bool = False
    stacked: bool = False


BACKENDS = {
    "gram64": Backend(decompose_gram64),
    "host": Backend(decompose_host),
    "device": Backend(decompose_device, stacked=True),
    "randomized": Backend(decompose_randomized, leading=True),
    "gram32": Backend(decompose_gram32, leading=True),
}


def find_backend(name: str) -> Backend:
    """The backend of that name; `InputError` suggests the nearest."""
    if name not in BACKENDS:
        raise InputError(f"--backend {name}: unknown{did_you_mean(name, BACKENDS)}")
    return BACKENDS[name]
