"""The ways that read.py compares, each run by `python -m suite.readers NAME BASE TUNED` in a process of its own.

For Linux, whose kernel tells the peak. A way imports what it needs and gives a function from the two directories to the squared
norm of the ΔW of every matrix in a layer, which are those that are decomposed.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

Norms = Iterator[float]
Reader = Callable[[Path, Path], Norms]


def ours() -> Reader:
    """The product's reader."""
    import numpy as np

    from jaxtrunc import spectral
    from jaxtrunc.models import leaf_class
    from jaxtrunc.recipes.pair import open_pair
    from jaxtrunc.spectral.view import delta, release

    def norms(base: Path, tuned: Path) -> Norms:
        pair = open_pair(str(base), str(tuned))
        leaves = pair.base.leaves, pair.ft.leaves
        refs = spectral.references({path: leaf.shape for path, leaf in leaves[0].items()}, pair.names)
        for ref in spectral.select(refs, partial(leaf_class, pair.cfg)):
            update = delta(*leaves, ref).ravel(order="K")
            for side in leaves:
                release(side[ref.path], ref)
            yield float(np.vdot(update, update))

    return norms


def transformers_bfloat16() -> Reader:
    """Both models whole in the dtype of the files."""
    return by_transformers("bfloat16")


def transformers_float32() -> Reader:
    """Both models whole in the dtype of ΔW."""
    return by_transformers("float32")


def by_transformers(dtype: str) -> Reader:
    """Both models whole, then parameter by parameter."""
    import torch
    from suite.peers import quiet_transformers
    from transformers.models.qwen2 import modeling_qwen2  # noqa: F401  else imported when a model is opened

    torch.set_num_threads(1)
    model_class = quiet_transformers().AutoModelForCausalLM

    def norms(base: Path, tuned: Path) -> Norms:
        models = [model_class.from_pretrained(folder, dtype=getattr(torch, dtype)) for folder in (base, tuned)]
        with torch.inference_mode():
            for before, after in zip(*(model.model.layers.parameters() for model in models), strict=True):
                if before.ndim == 2:
                    update = (after.float() - before.float()).flatten()
                    yield float(update @ update)

    return norms


def safe_open_torch() -> Reader:
    """Tensor by tensor from the two files."""
    import torch
    from safetensors import safe_open

    torch.set_num_threads(1)

    def norms(base: Path, tuned: Path) -> Norms:
        files = [safe_open(folder / "model.safetensors", "pt") for folder in (base, tuned)]
        for name in files[0].keys():  # noqa: SIM118  it is no mapping
            if ".layers." not in name:
                continue
            before, after = (file.get_tensor(name) for file in files)
            if before.ndim == 2:
                update = (after.float() - before.float()).flatten()
                yield float(update @ update)

    return norms


def measured(make: Callable[[], Reader], base: Path, tuned: Path) -> dict[str, float]:
    """Seconds after everything is imported, and by how much resident memory was at most above that at the start."""
    began = time.perf_counter()
    norms = make()
    imported = time.perf_counter() - began
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here
    before, cpu, wall = kernel_says("VmRSS"), time.process_time(), time.perf_counter()
    norm = math.sqrt(sum(norms(base, tuned)))
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "imported": imported, "norm": norm,
            "resident": kernel_says("VmHWM") - before}


def kernel_says(key: str) -> int:
    """A size of this process in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


WAYS = {"ours: memory-mapped, matrix by matrix": ours, "transformers, both loaded in bfloat16": transformers_bfloat16,
        "transformers, both loaded in float32": transformers_float32, "torch, safe_open, tensor by tensor": safe_open_torch}

if __name__ == "__main__":
    print(json.dumps(measured(WAYS[sys.argv[1]], Path(sys.argv[2]), Path(sys.argv[3]))))
