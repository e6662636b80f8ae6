"""Autoencoders on disk: four formats in, one (that of SAELens) out. Local directories only; downloading is the caller's task."""

from jaxtrunc.sae.formats.load import load_sae
from jaxtrunc.sae.formats.save import save_sae

__all__ = ["load_sae", "save_sae"]
