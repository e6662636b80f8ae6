"""The tiny decoder, its random weights and its stream."""

import sys
from pathlib import Path

import jax
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tiny import CONFIG, CopyStream

from jaxtrunc.models import Execution, init_params


@pytest.fixture(scope="session", autouse=True)
def compiled_once(compilation_cache):
    """Most tests here compile the same step; child processes read the cache too."""


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
