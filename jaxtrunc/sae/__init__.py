"""Sparse autoencoders, and low-rank subspaces made of their features (SAILS, arXiv 2512.23260)."""

from jaxtrunc.sae.fold import fold_decoder_norm
from jaxtrunc.sae.formats import load_sae, save_sae
from jaxtrunc.sae.sae import SAE, decode, encode, pre_activations, reconstruct
from jaxtrunc.sae.sites import Site, parse_site, writers

__all__ = [
    "SAE",
    "Site",
    "decode",
    "encode",
    "fold_decoder_norm",
    "load_sae",
    "parse_site",
    "pre_activations",
    "reconstruct",
    "save_sae",
    "writers",
]
