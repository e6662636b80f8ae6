"""The tiny decoder, its random weights and its stream."""

import sys
from pathlib import Path

import jax
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tiny import CONFIG, CopyStream

from jaxtrunc.models import Execution, init_params


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
