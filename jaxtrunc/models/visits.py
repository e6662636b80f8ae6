"""Looking at, and changing, what flows through a decoder at named places of its layers.

A site is `KIND.LAYER`, layers counted from 0:

    resid_post  the residual stream after the layer (D)
    attn_out    what attention adds to the stream, after its norm where there is one (D)
    mlp_out     what the MLP adds to the stream, likewise (D)
    attn_z      what the attention's output projection reads, heads side by side (N·H)
    mlp_z       what the MLP's down projection reads (F)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from jaxtrunc.core.errors import InputError

KINDS = ("resid_post", "attn_out", "mlp_out", "attn_z", "mlp_z")
Edit = Callable[[jax.Array], jax.Array]
Visit = Callable[[str, jax.Array], jax.Array]


def as_it_is(kind: str, x: jax.Array) -> jax.Array:
    """The visit that neither keeps nor changes anything."""
    return x


@dataclass(frozen=True)
class Visits:
    """What to keep and what to change during one pass.

    Attributes:
        watched: names of sites whose states are kept, as they are after an edit.
        edits: site → function of its state (B, T, width) to one of the same shape, which the pass continues with.
    """

    watched: tuple[str, ...] = ()
    edits: Mapping[str, Edit] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """Layers from the bottom that have to run for the watched states alone."""
        return max((split(name)[1] + 1 for name in self.watched), default=0)

    def checked(self, layers: int) -> "Visits":
        """Itself; `InputError` for a site that a model of so many layers does not have."""
        for name in (*self.watched, *self.edits):
            if split(name)[1] >= layers:
                raise InputError(f"site '{name}': the model has the layers 0 to {layers - 1}")
        return self

    def blank(self, widths: Mapping[str, int], x: jax.Array) -> dict[str, jax.Array]:
        """Room for the watched states beside a stream x (B, T, D); `widths`: kind → width."""
        return {name: jnp.zeros((*x.shape[:-1], widths[split(name)[0]]), jnp.float32) for name in self.watched}

    def of_layer(self, layer: Any, seen: dict[str, jax.Array]) -> Visit:
        """What a block calls at each of its places; `layer` is a number, or a traced one within a scan. It changes `seen`."""

        def visit(kind: str, x: jax.Array) -> jax.Array:
            for name, edit in self.edits.items():
                x = _edited(split(name), kind, layer, edit, x)
            for name in self.watched:
                _keep(name, kind, layer, x, seen)
            return x

        return visit


def split(name: str) -> tuple[str, int]:
    """Kind and layer of a site's name; `InputError` if it is no such name."""
    kind, _, layer = name.partition(".")
    if kind not in KINDS or not layer.isdecimal():
        raise InputError(f"site '{name}': expected one of {', '.join(KINDS)}, a dot and a layer's number, as in resid_post.3")
    return kind, int(layer)


def _edited(site: tuple[str, int], kind: str, layer: Any, edit: Edit, x: jax.Array) -> jax.Array:
    if site[0] != kind:
        return x
    if isinstance(layer, int):
        return edit(x).astype(x.dtype) if layer == site[1] else x
    return jax.lax.cond(layer == site[1], lambda x: edit(x).astype(x.dtype), lambda x: x, x)


def _keep(name: str, kind: str, layer: Any, x: jax.Array, seen: dict[str, jax.Array]) -> None:
    of_kind, of_layer = split(name)
    if of_kind != kind:
        return
    if not isinstance(layer, int):
        seen[name] = jnp.where(layer == of_layer, x, seen[name])
    elif layer == of_layer:
        seen[name] = x
