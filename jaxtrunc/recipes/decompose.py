"""`jaxtrunc decompose`: two checkpoints in, one singular value decomposition per matrix out."""

from pathlib import Path

import jax

from jaxtrunc import spectral
from jaxtrunc.config import DecomposeSettings
from jaxtrunc.core import environment
from jaxtrunc.core.mesh import spectral_mesh
from jaxtrunc.core.progress import progress, say
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.models import leaf_class
from jaxtrunc.recipes.pair import Pair, open_pair, remember_pair

ARTEFACT = "decomposition"
