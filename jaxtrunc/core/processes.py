"""Several processes that run the same program: how they find each other, which one this is, and what they do together."""

import json
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxtrunc.core import cluster, jsonio
from jaxtrunc.core.errors import RunFailed
from jaxtrunc.core.progress import say
from jaxtrunc.core.watch import Watch


def start() -> Watch:
    """Join the other processes, before JAX computes anything; the watch that is returned must be closed at the end.

    Raises:
      RunFailed: the others do not come, or no cluster is there although the environment says so.
    """
    jax.config.update("jax_enable_preemption_service", False)  # it would swallow SIGTERM, which is answered between steps
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    given, timeout = cluster.explicit(), cluster.peer_timeout()
    where = {} if given is None else {"coordinator_address": given.address, "num_processes": given.count, "process_id": given.index}
    try:
        # JAX's own heartbeat ends processes without a word: it is only the last resort.
        jax.distributed.initialize(**where, heartbeat_timeout_seconds=int(2 * timeout) + 30, shutdown_timeout_seconds=60)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise RunFailed(f"{cluster.HOST}: could not join the other processes ({reason}); start one process on every host, with "
                        "the address of process 0, at about the same time") from None
    say(f"process {jax.process_index()} of {jax.process_count()} on {cluster.HOST}: {jax.local_device_count()} of "
        f"{jax.device_count()} devices")
    return Watch(_store(), jax.process_index(), jax.process_count(), cluster.HOST, timeout)


def leave(watch: Watch) -> None:
    """Wait until every process has come to its end, and part."""
    wait_for_all("the end")
    watch.close()
    jax.distributed.shutdown()


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


def collect(value: Any) -> list[Any]:
    """What every process gave, as JSON carries it, in the order of the processes; every process must call it."""
    if jax.process_count() == 1:
        return [value]
    mine = np.frombuffer(jsonio.dumps(value).encode(), np.uint8)
    sizes = np.ravel(multihost_utils.process_allgather(np.array([mine.size])))
    padded = np.resize(mine, sizes.max())
    texts = np.reshape(multihost_utils.process_allgather(padded), (jax.process_count(), -1))
    return [json.loads(text[:size].tobytes()) for text, size in zip(texts, sizes, strict=True)]


def _store() -> Any:
    """The key-value store of the coordination service; JAX has no public name for it yet."""
    from jax._src import distributed

    return distributed.global_state.client
