"""Random draws that belong to a matrix: they depend on its name and on what they are for, never on the order of the tree."""

import hashlib

import numpy as np


def generator_for(name: str, purpose: str) -> np.random.Generator:
    """A generator that depends on the matrix name and the purpose alone."""
    digest = hashlib.sha256(f"{purpose}:{name}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, "<u4"))
