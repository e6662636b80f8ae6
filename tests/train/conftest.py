"""The tiny decoder, its random weights and its stream."""

import sys
from pathlib import Path

import jax
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tiny import CONFIG, CopyStream

from jaxtrunc.models import Execution, init_params


@pytest.fixture(scope="session", autouse=True)
def compilation_cache(tmp_path_factory):
    """Most tests here compile the same step; child processes read the cache too."""
    directory = tmp_path_factory.mktemp("compiled")
    settings = {"jax_compilation_cache_dir": str(directory), "jax_persistent_cache_min_compile_time_secs": 0}
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    yield directory
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture(scope="session")
def cfg():
    return CONFIG


@pytest.fixture(scope="session")
def params(cfg):
    return init_params(cfg, jax.random.key(1))


@pytest.fixture
def stream():
    return CopyStream()


@pytest.fixture(scope="session")
def execution():
    return Execution()
