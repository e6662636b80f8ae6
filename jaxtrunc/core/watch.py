"""Nothing hangs: every process shows that it lives, and all stop, saying why, when one of them does not.

The messages go through the key-value store that the processes share with process 0 (the coordination service of JAX).
Every process writes a beat; process 0 reads them all; the reason to stop is one key that everyone reads. If process 0 itself
is killed the store is gone and JAX ends the others at once; `core.supervise` then says why.
"""

import contextlib
import os
import threading
import time
from typing import Any

from jaxtrunc.core.errors import Interrupted
from jaxtrunc.core.progress import complain

INTERVAL = 1.0  # seconds between two beats
BEAT, NAME, STOP = "jaxtrunc/beat/", "jaxtrunc/name/", "jaxtrunc/stop/"
RESUME = "what was written so far is kept; start all processes again with --resume"


class Watch:
    """The beats of this process and, in process 0, the eye on all others.

    Args:
      client: the key-value store.
      index, count: this process, and how many there are.
      host: name of this machine, for messages.
      timeout: seconds without a beat after which a process counts as dead.
    """

    def __init__(self, client: Any, index: int, count: int, host: str, timeout: float):
        self._client, self._index, self._count, self._timeout = client, index, count, timeout
        self.name = f"process {index} on {host}"
        self._parent = os.getppid()
        self._seen: dict[int, tuple[int, float]] = {}
        self._over = threading.Event()
        client.key_value_set(f"{NAME}{index}", self.name)
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def close(self) -> None:
        """This process is about to end as it should; silence from now on is no alarm."""
        self._over.set()

    def stop_all(self, reason: str, code: int) -> None:
        """Tell every process why to stop, and give them the time to read it."""
        self._over.set()
        with contextlib.suppress(RuntimeError):  # somebody was first, or the store is gone
            self._client.key_value_set(f"{STOP}reason", f"{code} {reason}")
        if self._index == 0:
            time.sleep(3 * INTERVAL)  # the store ends with this process

    def wait_for_reason(self) -> None:
        """Something has failed, perhaps since a peer is gone: return when every peer has shown that it lives.

        If one does not, the watch of process 0 finds it and all end from there, this process too.
        """
        end = time.monotonic() + 3 * self._timeout
        with contextlib.suppress(RuntimeError):  # the store is gone
            before = self._beats()
            while time.monotonic() < end:
                time.sleep(INTERVAL)
                now = self._beats()
                if all(now.get(index, 0) > before.get(index, 0) + 1 for index in range(self._count) if index != self._index):
                    return

    def _beats(self) -> dict[int, int]:
        """The last beat of every process that has given one."""
        return {int(key.removeprefix(BEAT)): int(beat) for key, beat in self._client.key_value_dir_get(BEAT)}

    def _watch(self) -> None:
        beats = 0
        while not self._over.wait(INTERVAL):
            beats += 1
            self._client.key_value_set(f"{BEAT}{self._index}", str(beats), allow_overwrite=True)
            for _, stop in self._client.key_value_dir_get(STOP):
                code, reason = stop.split(" ", 1)
                _leave(reason, int(code))
            if os.getppid() != self._parent:
                os._exit(Interrupted.exit_code)  # killed with its parent: the others shall see it
            if self._index == 0:
                self._look_for_silence()

    def _look_for_silence(self) -> None:
        now, beats = time.monotonic(), self._beats()
        for index in range(1, self._count):
            beat = beats.get(index, 0)
            if self._seen.get(index, (None, 0.0))[0] != beat:
                self._seen[index] = (beat, now)
            elif now - self._seen[index][1] > self._timeout:
                name = self._client.key_value_try_get(f"{NAME}{index}")
                reason = f"{name} has not answered for {self._timeout:.0f} s and counts as dead; {RESUME}"
                self.stop_all(reason, Interrupted.exit_code)
                _leave(reason, Interrupted.exit_code)


def _leave(reason: str, code: int) -> None:
    """End this process from here: its main thread waits in a collective that will never return."""
    complain(reason)
    os._exit(code)
