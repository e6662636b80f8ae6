"""Whether this process was started as one of several, told from its environment alone (nothing heavy is imported).

Three ways to be one of several: explicit addresses (JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES, JAX_PROCESS_ID), a Slurm
step of several tasks, a Cloud TPU host. Without one of them a process is alone and needs nothing.
"""

import importlib.util
import os
import socket
from dataclasses import dataclass

from jaxtrunc.core.errors import InputError

ADDRESS, COUNT, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
PEER_TIMEOUT = "JAXTRUNC_PEER_TIMEOUT"
HOST = socket.gethostname()


@dataclass(frozen=True)
class Explicit:
    """Who coordinates (`host:port`), how many processes there are, and which one this is."""

    address: str
    count: int
    index: int


def explicit() -> Explicit | None:
    """What the three variables say; None if no address is given.

    Raises:
      InputError: the address is given, but not a count and an index that fit it.
    """
    address = os.environ.get(ADDRESS)
    if not address:
        return None
    count, index = _number(COUNT, 1), _number(INDEX, 0)
    if index >= count:
        raise InputError(f"{INDEX}: expected a number below {COUNT}={count}, found {index}")
    if not address.rpartition(":")[2].isdigit() or not address.rpartition(":")[0]:
        raise InputError(f"{ADDRESS}: expected HOST:PORT of process 0, found '{address}'")
    return Explicit(address, count, index)


def is_one_of_several() -> bool:
    """Whether the environment describes a cluster that this process has to join."""
    given = explicit()
    if given is not None:
        return given.count > 1
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1 or importlib.util.find_spec("libtpu") is not None


def peer_timeout() -> float:
    """Seconds of silence after which a process counts as dead."""
    return float(_number(PEER_TIMEOUT, 1)) if PEER_TIMEOUT in os.environ else 60.0


def _number(name: str, least: int) -> int:
    text = os.environ.get(name, "")
    if not text.isdigit() or int(text) < least:
        raise InputError(f"{name}: expected a whole number of at least {least} beside {ADDRESS}, found '{text}'")
    return int(text)
