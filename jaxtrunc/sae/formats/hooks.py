"""Names that TransformerLens gives to places inside a decoder, and ours."""

import re
from pathlib import Path

from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.sae.sites import Site, parse_site

HOOKS = {"resid_pre": "blocks.{}.hook_resid_pre", "resid_post": "blocks.{}.hook_resid_post", "attn_out": "blocks.{}.hook_attn_out",
         "mlp_out": "blocks.{}.hook_mlp_out", "attn_z": "blocks.{}.attn.hook_z"}  # fmt: skip
_LAYER = re.compile(r"\.(\d+)\.")


def hook_of(site: Site) -> str:
    """`blocks.3.hook_resid_post` for resid_post.3."""
    return HOOKS[site.kind].format(site.layer)


def site_of_hook(file: Path, key: str, hook: str) -> Site:
    """The site of a hook; `InputError` names `file` and `key` if it is none of those known, or the embedding."""
    layer = _LAYER.search(hook)
    kinds = [kind for kind, name in HOOKS.items() if layer and name.format(layer[1]) == hook]
    if not kinds or not layer:
        raise InputError(f"{file}: {key}: {shown(hook)} is no site of this package; known: {', '.join(HOOKS.values())}")
    try:
        return parse_site(f"{kinds[0]}.{layer[1]}")
    except InputError as error:
        raise InputError(f"{file}: {key}: {error}") from None
