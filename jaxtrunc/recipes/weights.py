"""Weights from disk onto the mesh, leaf by leaf."""

from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import Mesh, SingleDeviceSharding

from jaxtrunc.config import MeshSettings
from jaxtrunc.core.mesh import compute_mesh, param_shardings
from jaxtrunc.core.trees import Params
from jaxtrunc.models import load_params


def open_mesh(settings: MeshSettings) -> Mesh | None:
    """The compute mesh, or None where there is one device and nothing to divide."""
    mesh = compute_mesh(settings.data, settings.fsdp, settings.tensor)
    return mesh if mesh.size > 1 else None


def shardings(leaves: Mapping[str, Any], mesh: Mesh | None) -> dict[str, jax.sharding.Sharding]:
    """Where each leaf lies."""
    if mesh is None:
        return dict.fromkeys(leaves, SingleDeviceSharding(jax.local_devices()[0]))
    return dict(param_shardings(mesh, leaves))


def load(leaves: Mapping[str, Any], mesh: Mesh | None) -> Params:
    """Float32 parameters; every device reads only its own part."""
    return load_params(leaves, shardings=shardings(leaves, mesh))
