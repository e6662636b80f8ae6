"""Several processes that run the same program: which one this is, and the two things they do together."""

from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils


def is_main() -> bool:
    """Whether this is process 0, the only one that writes results."""
    return jax.process_index() == 0


def wait_for_all(what: str) -> None:
    """Return when every process has come to the point named `what`; at once where there is only one."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


def fetch(array: Any) -> np.ndarray:
    """The whole array on this host; every process must call it if parts of the array lie on other hosts."""
    if isinstance(array, jax.Array) and not array.is_fully_addressable:
        return np.asarray(multihost_utils.process_allgather(array, tiled=True))
    return np.asarray(array)
