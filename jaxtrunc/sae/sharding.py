"""An autoencoder divided over many devices by its latents."""

from dataclasses import replace

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxtrunc.core.mesh import place
from jaxtrunc.sae.sae import ARRAYS, SAE

DICTIONARY = "dictionary"


def dictionary_mesh() -> Mesh:
    """All devices of all processes in one axis `dictionary`."""
    return jax.make_mesh((jax.device_count(),), (DICTIONARY,), axis_types=(AxisType.Auto,))


def sae_shardings(mesh: Mesh, sae: SAE) -> SAE:
    """An SAE with a sharding in place of each array: divided along n over `dictionary`, b_dec whole.

    Everything stays whole where n is no multiple of the axis.
    """
    axis = DICTIONARY if sae.n % mesh.shape[DICTIONARY] == 0 else None
    specs = {"w_enc": P(None, axis), "w_dec": P(axis, None), "b_dec": P()}
    present = [name for name in ARRAYS if getattr(sae, name) is not None]
    return replace(sae, **{name: NamedSharding(mesh, specs.get(name, P(axis))) for name in present})


def divided(sae: SAE, mesh: Mesh) -> SAE:
    """The autoencoder, which this host holds whole, laid out so."""
    return jax.tree.map(lambda leaf, sharding: place(np.asarray(leaf), sharding), sae, sae_shardings(mesh, sae))
