"""The base model that activations come from, opened and checked; its weights are read when they are needed."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxtrunc.config import MeshSettings
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.mesh import batch_divisor, batch_sharding, place, replicated
from jaxtrunc.core.processes import fetch
from jaxtrunc.core.trees import Params
from jaxtrunc.data.chat import Chat
from jaxtrunc.models import DecoderConfig, Execution, load_tokenizer, site_states
from jaxtrunc.recipes.pair import Side, open_side
from jaxtrunc.recipes.weights import load, open_mesh
from jaxtrunc.sae.sites import Site, parse_site


@dataclass(frozen=True)
class Base:
    """A model and how it is talked to."""

    side: Side
    chat: Chat
    devices: MeshSettings

    @property
    def cfg(self) -> DecoderConfig:
        """The architecture."""
        return self.side.source.cfg

    @cached_property
    def mesh(self) -> Mesh | None:
        """All devices, along the rows of a batch unless the settings say otherwise; None where there is one."""
        return open_mesh(self.devices)

    @property
    def execution(self) -> Execution:
        """Float32 passes over the mesh."""
        return Execution(mesh=self.mesh)

    @cached_property
    def params(self) -> Params:
        """The weights, read once."""
        return load(self.side.leaves, self.mesh)

    @cached_property
    def special(self) -> np.ndarray:
        """(vocabulary,) whether a token is a special one."""
        tokenizer, found = self.chat.tokenizer, np.zeros(self.cfg.vocab_size, bool)
        ids = {*tokenizer.all_special_ids, *(number for number, token in tokenizer.added_tokens_decoder.items() if token.special)}
        found[[number for number in ids if number < len(found)]] = True
        return found

    def counts(self, tokens: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """(B, T): where an activation counts: neither padding, nor a special token, nor the first of a row.

        Special tokens, and whatever stands first, have norms far beyond all others (Sun et al. 2024, arXiv 2402.17762).
        """
        steps = np.arange(tokens.shape[1])
        return (steps > 0) & (steps < lengths[:, None]) & ~self.special[tokens]

    def rows(self, wanted: int) -> int:
        """`wanted` rows per batch, or so many more that they divide over the devices."""
        return wanted if self.mesh is None else wanted + -wanted % batch_divisor(self.mesh)

    def placed(self, array: Any) -> Any:
        """Rows of a batch, laid out over the devices."""
        return array if self.mesh is None else place(array, batch_sharding(self.mesh))

    def everywhere(self, tree: Any) -> Any:
        """The arrays of a tree, whole on every device, so that no call carries them there again."""
        return tree if self.mesh is None else jax.device_put(tree, replicated(self.mesh))

    def width(self, site: Site) -> int:
        """Numbers at a site."""
        return self.cfg.num_heads * self.cfg.head_dim if site.kind == "attn_z" else self.cfg.hidden_size


class States:
    """Tokens → what stands at a site, float32 (B, T, width) on the host; compiled once per shape."""

    def __init__(self, base: Base, site: Site):
        self._base, self._name = base, str(site)
        self._run = jax.jit(partial(site_states, cfg=base.cfg, sites=(self._name,), execution=base.execution))

    def __call__(self, tokens: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        base = self._base
        return fetch(self._run(base.params, tokens=base.placed(tokens), lengths=base.placed(lengths))[self._name])


def open_base(ref: str, devices: MeshSettings | None = None) -> Base:
    """Open model and tokenizer; `InputError` names what is wrong with either."""
    side = open_side(ref)
    return Base(side, Chat(load_tokenizer(side.source.directory), side.source.cfg.vocab_size), devices or MeshSettings())


def site_of(name: str, base: Base) -> Site:
    """A site of this model; `InputError` for a layer that it does not have."""
    site = parse_site(name)
    if site.layer >= base.cfg.num_layers:
        raise InputError(f"site {site}: {base.side.ref} has the layers 0 to {base.cfg.num_layers - 1}")
    return site
