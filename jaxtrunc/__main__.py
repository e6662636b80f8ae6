"""`jaxtrunc` and `python -m jaxtrunc`: the program, started so that its heap may lie in large pages."""

import os
import sys

HEAP = "GLIBC_TUNABLES"
LARGE_PAGES = "glibc.malloc.hugetlb=1"


def start() -> None:
    """Run the program of `jaxtrunc.cli`; on Linux it replaces itself once, with large pages asked for.

    XLA's CPU backend takes the scratch memory of a step anew for each step: hundreds of MB, every page of 4 KiB a fault, a
    fifth of the time of a training step (docs/performance.md). The C library looks at this variable when a program starts,
    so it cannot be set later. Who has set it already is left alone.
    """
    if sys.platform == "linux" and HEAP not in os.environ:
        os.environ[HEAP] = LARGE_PAGES
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    from jaxtrunc.cli import main

    main()


if __name__ == "__main__":
    start()
