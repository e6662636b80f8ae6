"""One core and one thread for every library, theirs as ours: importing this starts a script again with it.

Libraries read these variables when they are loaded, so it cannot be done later.
"""

import os
import sys
from pathlib import Path

ALIKE = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1") | {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # the product asks for it itself: torch shall have it too
    "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "JAX_PLATFORMS": "cpu"}
STARTED = "JAXTRUNC_BENCHMARK"


def start_again() -> None:
    """Replace the process by the same script, pinned to the last core it may use."""
    os.environ.update(ALIKE | {STARTED: "1"})
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


if Path(sys.argv[0]).resolve().parent == Path(__file__).parents[1] and STARTED not in os.environ:
    start_again()
