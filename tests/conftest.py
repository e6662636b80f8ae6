"""Shared fixtures. Several virtual CPU devices, set before jax is imported anywhere."""

import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

import pytest

from jaxtrunc.core.progress import set_quiet

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def heard():
    """A program that another test called with -q in this process has not silenced what this test listens to."""
    set_quiet(False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of small real data beside the project; absent in a plain clone."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder ../shared/data with real data is not there")
    return folder


@pytest.fixture(scope="session")
def compilation_cache(tmp_path_factory):
    """Where compiled programs are kept while tests run, for those that compile the same ones, child processes among them."""
    import jax

    directory = tmp_path_factory.mktemp("compiled")
    settings = {"jax_compilation_cache_dir": str(directory), "jax_persistent_cache_min_compile_time_secs": 0}
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    yield directory
    for name, value in before.items():
        jax.config.update(name, value)
