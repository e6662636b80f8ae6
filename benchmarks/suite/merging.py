"""The ways that merge.py compares, each run by `python -m suite.merging PROGRAM CONFIG OUT` in a process of its own.

For Linux, whose kernel tells the peak. Seconds count from when everything is imported to when the directory is written.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from suite.readers import kernel_says

Merger = Callable[[Path, Path], None]


def ours() -> Merger:
    """The product's verb, without its start."""
    from jaxtrunc.core.progress import set_quiet
    from jaxtrunc.recipes.merge import merge
    from jaxtrunc.recipes.merge_config import MergeFlags

    set_quiet(True)
    return lambda config, out: merge(config, out, MergeFlags())


def mergekit() -> Merger:
    """What `mergekit-yaml` calls, with the options it has by default, one thread, and no tokenizer or card to write."""
    import torch
    import yaml
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    torch.set_num_threads(1)
    options = MergeOptions(copy_tokenizer=False, write_model_card=False, quiet=True)
    return lambda config, out: run_merge(MergeConfiguration.model_validate(yaml.safe_load(config.read_text())), str(out), options)


def measured(make: Callable[[], Merger], config: Path, out: Path) -> dict[str, float]:
    """Seconds, and by how much resident memory was at most above that at the start, mapped files among it."""
    merger = make()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here
    before, cpu, wall = kernel_says("VmRSS"), time.process_time(), time.perf_counter()
    merger(config, out)
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "resident": kernel_says("VmHWM") - before}


WAYS = {"ours": ours, "mergekit": mergekit}

if __name__ == "__main__":
    found = measured(WAYS[sys.argv[1]], Path(sys.argv[2]), Path(sys.argv[3]))
    print("\n" + json.dumps(found))
