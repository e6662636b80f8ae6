"""Eight virtual devices, and the tiny models of the rooms that run on them."""

import sys
from pathlib import Path

import jax
import pytest

for room in ("train", "evals", "mesh"):
    sys.path.insert(0, str(Path(__file__).parent.parent / room))


@pytest.fixture(scope="module", autouse=True)
def quick_compilation():
    """Nearly all the time of these tests is spent in the compiler; how a program is divided is not an optimisation."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="session", autouse=True)
def eight_devices():
    if jax.device_count() < 8:
        pytest.skip("needs 8 (virtual) devices")
