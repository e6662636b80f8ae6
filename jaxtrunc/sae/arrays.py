"""Named arrays in an .npz file of our own: written whole or not at all, read without pickles."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.files import staging_name
from jaxtrunc.sae.formats.weights import open_npz


def write_arrays(stem: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write STEM.npz (dots in the last name are part of it); the same bytes for the same arrays."""
    file = _file(stem)
    file.parent.mkdir(parents=True, exist_ok=True)
    staged = staging_name(file)
    with open(staged, "wb") as opened:
        np.savez(opened, allow_pickle=False, **arrays)
    staged.replace(file)


def read_arrays(stem: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The named arrays of STEM.npz.

    Raises:
      InputError: no such file, not an .npz, an array is missing, or a value is not finite.
    """
    weights = open_npz(_file(stem))
    for name in names:
        if name not in weights.shapes:
            raise InputError(f"{weights.file}: has no array '{name}', expected {', '.join(names)}")
    arrays = {name: weights.read(name) for name in names}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise InputError(f"{weights.file}: array '{name}' has values that are not finite")
    return arrays


def _file(stem: Path) -> Path:
    return stem.with_name(f"{stem.name}.npz")
