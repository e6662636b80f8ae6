"""The other side: what mergekit and torch do to one matrix, called as their users call it."""

import importlib
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

NO_TORCH = "torch is not installed (extra `bench`)"
NO_MERGEKIT = "mergekit is not installed (extra `bench`)"
Name = TypeVar("Name", bound=Hashable)


def find(module: str) -> Any:
    """A module, or None where it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        return None


def single_threaded_torch() -> Any:
    """torch with one thread, or None."""
    torch = find("torch")
    if torch is not None:
        torch.set_num_threads(1)
    return torch


def quiet_transformers() -> Any:
    """transformers without progress bars."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    return transformers


def mergekit_kernel() -> Callable[..., tuple[Any, Any]] | None:
    """(base, ft, rank) → (A (rank, n), B (m, rank)) with B·A ≈ ft − base, by the two tasks of `mergekit-extract-lora`.

    The tasks are made without the graph of tasks around them, which reads and writes files.
    """
    extract = find("mergekit.scripts.extract_lora")
    if extract is None:
        return None
    update = extract.TaskVectorTask.model_construct()

    def kernel(base: Any, ft: Any, rank: int) -> tuple[Any, Any]:
        decompose = extract.TaskVectorDecompositionTask.model_construct(
            max_rank=rank, distribute_scale=True, transpose=False, sv_epsilon=0)
        return decompose.execute(update.execute(base, ft))

    return kernel


def fastest(options: dict[Name, Callable[[], Any]]) -> tuple[Name, Callable[[], Any]]:
    """Of several arrangements of the same thing the one whose second call takes the least CPU time."""
    seconds = {}
    for name, call in options.items():
        call()
        start = time.process_time()
        call()
        seconds[name] = time.process_time() - start
    best = min(seconds, key=lambda name: seconds[name])
    return best, options[best]
