"""The most memory that this program has held."""

import re
import resource
import sys
from pathlib import Path

import jax


def host_peak() -> int:
    """Bytes of this process that were resident at once, mapped files among them."""
    status = Path("/proc/self/status")
    if status.exists():  # a program that a large one has started would inherit that one's peak in `getrusage`
        found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.M)
        if found:
            return 1024 * int(found[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def device_peak() -> int | None:
    """Bytes at once on the fullest device of this process; None where devices do not tell, as CPUs do not."""
    peaks = [(device.memory_stats() or {}).get("peak_bytes_in_use") for device in jax.local_devices()]
    return max((peak for peak in peaks if peak is not None), default=None)
