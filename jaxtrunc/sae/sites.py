"""Places inside a decoder that an autoencoder may belong to, and which matrices write there."""

import re
from dataclasses import dataclass

from jaxtrunc.core.errors import InputError, did_you_mean, shown

KINDS = ("resid_post", "attn_out", "mlp_out", "attn_z")
WRITERS = {"resid_post": ("o", "down"), "attn_out": ("o",), "mlp_out": ("down",)}
_NAME = re.compile(r"(\w+)\.(0|[1-9]\d{0,5})")


@dataclass(frozen=True, order=True)
class Site:
    """One place: the residual stream after a layer, what a block adds to it (after a post-norm, if there is one), or attn_z."""

    kind: str
    layer: int

    def __str__(self) -> str:
        return f"{self.kind}.{self.layer}"


def parse_site(name: str) -> Site:
    """`resid_post.3` and the like, layers counted from 0; `resid_pre.3` is `resid_post.2`.

    Raises:
      InputError: no such kind, no layer number, or `resid_pre.0`, the embedding, which no layer writes.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(f"site: expected KIND.LAYER such as resid_post.3, found {shown(name)}")
    kind, layer = match[1], int(match[2])
    if kind == "resid_pre" and layer == 0:
        raise InputError("site: resid_pre.0 is the embedding, which no layer writes to; the first place is resid_post.0")
    if kind == "resid_pre":
        return Site("resid_post", layer - 1)
    if kind not in KINDS:
        raise InputError(f"site: unknown kind {shown(kind)}{did_you_mean(kind, (*KINDS, 'resid_pre'))}")
    return Site(kind, layer)


def writers(site: Site) -> tuple[str, ...]:
    """The kernels of layer `site.layer` that may be given a subspace found at the site: `o`, `down`.

    Raises:
      InputError: attn_z lies before the output projection: no matrix writes there, whatever the widths.
    """
    if site.kind not in WRITERS:
        raise InputError(f"site: {site} lies before the output projection, in no space that a matrix of the layer writes to; "
                         f"take an autoencoder of {', '.join(f'{kind}.{site.layer}' for kind in WRITERS)}")
    return WRITERS[site.kind]
