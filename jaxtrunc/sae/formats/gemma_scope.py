"""Gemma Scope (Lieberum et al. 2024, arXiv 2408.05147): params.npz, where only the folders say what it belongs to."""

import re
from pathlib import Path

from jaxtrunc.core.errors import InputError
from jaxtrunc.sae.formats.weights import as_fields, open_npz, read_parts
from jaxtrunc.sae.sae import SAE
from jaxtrunc.sae.sites import Site

FILES = ("params.npz",)
_LAYER = re.compile(r"layer_(\d{1,6})")
_WIDTH = re.compile(r"width_(\d+[km]?)")
_SUITE = re.compile(r".*gemma-scope-\w+-(?:pt|it)-(res|mlp|att|transcoders)(?:-.*)?")
_KINDS = {"res": "resid_post", "mlp": "mlp_out", "att": "attn_z"}


def read(directory: Path) -> SAE:
    """A jumprelu autoencoder that does not subtract b_dec; layer, width and place by the names of the folders, if they say."""
    weights = open_npz(directory / FILES[0])
    keys = {"w_enc": weights.first("W_enc", "w_enc"), "w_dec": weights.first("W_dec", "w_dec"),
            "b_enc": "b_enc", "b_dec": "b_dec", "threshold": "threshold"}
    weights.only(keys.values())
    folders = directory.resolve().parts[::-1]
    said = {"site": _site(directory, folders), "layer": _layer(folders), "width": _first(_WIDTH, folders)}
    return SAE(**as_fields(read_parts(weights, keys)), kind="jumprelu", subtract_b_dec=False,
               meta=tuple((key, value) for key, value in said.items() if value is not None))


def _layer(folders: tuple[str, ...]) -> int | None:
    """By `layer_20`, which is there even where the suite's own folder was renamed."""
    layer = _first(_LAYER, folders)
    return None if layer is None else int(layer)


def _first(pattern: re.Pattern[str], folders: tuple[str, ...]) -> str | None:
    """What the innermost folder that matches says."""
    return next((match[1] for folder in folders if (match := pattern.fullmatch(folder))), None)


def _site(directory: Path, folders: tuple[str, ...]) -> str | None:
    """By `gemma-scope-2b-pt-res` and `layer_20`; None if one of them is not among the folders."""
    suite = _first(_SUITE, folders)
    if suite == "transcoders":
        raise InputError(f"{directory}: belongs to a suite of transcoders, which read one site and write another; "
                         "take an autoencoder (-res, -mlp or -att)")
    if suite and "embedding" in folders:
        raise InputError(f"{directory}: belongs to the embedding, which no layer writes to; take one of a layer_*")
    layer = _layer(folders)
    return str(Site(_KINDS[suite], layer)) if suite and layer is not None else None

