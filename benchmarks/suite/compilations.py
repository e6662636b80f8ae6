"""How many programs XLA compiles, and for how long, while a block runs."""

from typing import Any

import jax

EVENT = "/jax/core/compile/backend_compile_duration"


class Compilations:
    """Counts every program that is compiled or, with a persistent cache, read back compiled.

    Attributes:
      count: programs.
      seconds: their time.
    """

    def __init__(self) -> None:
        self.count, self.seconds = 0, 0.0

    def __enter__(self) -> "Compilations":
        jax.monitoring.register_event_duration_secs_listener(self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        jax.monitoring.unregister_event_duration_listener(self._heard)

    def _heard(self, event: str, seconds: float, **_: Any) -> None:
        if event == EVENT:
            self.count += 1
            self.seconds += seconds
