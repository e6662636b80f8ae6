"""Ctrl-C and SIGTERM as a request that the loop answers between two steps; of several processes, all at the same step."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxtrunc.core.mesh import place, replicated


class StopRequest:
    """`name` is the signal that arrived, or None."""

    name: str | None = None


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Note SIGINT or SIGTERM instead of dying; a second one acts as usual. Outside the main thread nothing changes."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _frame: object) -> None:
        request.name = signal.Signals(number).name
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, note)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def agreement(request: StopRequest, mesh: Mesh | None) -> Callable[[], str | None]:
    """A function to call after every step: the signal that came, the same in every process.

    Several processes send the signal's number round the mesh after each step and read it after the next one, which is
    when they read the loss too: nobody waits for it, and all stop at most two steps after the signal came.
    """
    if mesh is None or jax.process_count() == 1:
        return lambda: request.name
    highest = jax.jit(lambda numbers: numbers.max(), out_shardings=replicated(mesh))
    one_each = NamedSharding(mesh, P(mesh.axis_names))
    pending = None

    def ask() -> str | None:
        nonlocal pending
        mine = signal.Signals[request.name] if request.name else 0
        previous, pending = pending, highest(place(np.full(mesh.size, mine, np.int32), one_each))
        number = 0 if previous is None else int(previous)
        return signal.Signals(number).name if number else None

    return ask
