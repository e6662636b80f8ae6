"""A parent for each of several processes: it says why its child was ended when the child could not say so itself.

When process 0 is killed, or its host is lost, JAX aborts the others at once and leaves a stack trace; a process that the
system kills for its memory says nothing at all. The parent imports nothing heavy, passes signals on and keeps the exit code.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from jaxtrunc.core import cluster
from jaxtrunc.core.errors import Interrupted
from jaxtrunc.core.progress import complain

CHILD = "JAXTRUNC_SUPERVISED"


def is_child() -> bool:
    """Whether this process runs under such a parent already."""
    return CHILD in os.environ


def supervise(arguments: Sequence[str]) -> int:
    """Run the program with `arguments` as a child and return its exit code; a child ended by a signal gives 3."""
    command = [sys.executable, "-m", "jaxtrunc", *arguments]
    with subprocess.Popen(command, env=os.environ | {CHILD: str(os.getpid())}) as child:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _frame: child.send_signal(number))
        code = child.wait()
    if code >= 0:
        return code
    complain(f"this process on {cluster.HOST} was ended by {signal.Signals(-code).name}: {_likely(-code)}; what was written so "
             "far is kept; start all processes again with --resume")
    return Interrupted.exit_code


def _likely(number: int) -> str:
    if number == signal.SIGABRT:
        given = cluster.explicit()
        place = f" at {given.address}" if given else ""
        return f"process 0{place}, which the others need, is gone (see its output)"
    if number == signal.SIGKILL:
        return "somebody killed it, or the system did for want of memory"
    return "see the lines above"
