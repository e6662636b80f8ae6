"""What a result depends on besides its config: versions, devices, the commit."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = ("jaxtrunc", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "transformers", "tokenizers", "datasets",
            "tensorflow-datasets", "chex", "safetensors", "numpy", "scipy")


def versions() -> dict[str, str | None]:
    """Installed version of every package a result may depend on; None where one is absent."""
    return {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()}


def describe() -> dict[str, Any]:
    """Versions, devices, processes, platform and, in a git checkout of the package, the commit."""
    import jax

    return {
        "versions": versions(),
        "backend": jax.default_backend(),
        "devices": sorted({device.device_kind for device in jax.devices()}),
        "device_count": jax.device_count(),
        "process_count": jax.process_count(),
        "platform": platform.platform(),
        "git_commit": _commit(),
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    here = Path(__file__).parent
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=5)
        inside = subprocess.run(["git", "ls-files", "--error-unmatch", Path(__file__).name], cwd=here,
                                capture_output=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 and inside.returncode == 0 else None
