"""A subspace constraint beside the language-modelling loss: L = L_LM + λ·L_sub (arXiv 2512.23260, section 3.3)."""

import dataclasses
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrunc.core.processes import fetch
from jaxtrunc.core.trees import Params, flatten
from jaxtrunc.data import Stream, TrainBatch
from jaxtrunc.models import DecoderConfig, Execution, factor_path, site_states, split_factors, watched
from jaxtrunc.models.decoder import product
from jaxtrunc.sae.constraint import orthogonal_energy
from jaxtrunc.train.batches import StepBatch, without_prefix
from jaxtrunc.train.loss import head_loss

READS = {"o_proj": "attn_z", "down_proj": "mlp_z"}  # where the input of a kernel that writes to the stream stands


class Confined(NamedTuple):
    """One subspace that a state is to stay in.

    Attributes:
      site: `resid_post.3` and the like; for `output` it only names the base model's state that gives the size.
      basis: (D, r), orthonormal columns, in the space of what is confined.
      kernel: path of the kernel whose adapter is confined (`output`).
      size: the energy is divided by it.
    """

    site: str
    basis: np.ndarray
    kernel: str
    size: float = 1.0

    @property
    def layer(self) -> int:
        """The layer's number."""
        return int(self.site.rpartition(".")[2])

    @property
    def reads(self) -> str:
        """The site of what the kernel reads."""
        return f"{READS[self.kernel.split('/')[-2]]}.{self.layer}"


@dataclass(frozen=True, eq=False)
class Penalty:
    """λ times the mean over layers of the mean over tokens of ‖P_orth ·‖² of something.

    Attributes:
      kind: of what: the hidden state (`hidden`, the paper's), its distance from the base model's on the same tokens
        (`displacement`), or what the adapter adds, scale·(xA)B without dropout (`output`).
      factor: λ.
      relative: each layer's energy is divided by the mean ‖h‖² of the base model at its site in the first batch.
      special_ids: tokens that do not count; nor does the first token of a row, special or not: its norm is far beyond all others.
    """

    kind: Literal["hidden", "displacement", "output"]
    factor: float
    confined: tuple[Confined, ...]
    relative: bool = True
    special_ids: tuple[int, ...] = ()

    def measured(self, params: Params, cfg: DecoderConfig, stream: Stream, execution: Execution) -> "Penalty":
        """With the sizes that the first batch of the stream gives; the stream stays where it is."""
        if not self.relative:
            return self
        at = stream.state
        stream.restore(0)
        batch = without_prefix(next(stream))
        stream.restore(at)
        sizes = fetch(_sizes(params, cfg, batch, self.weights(batch), tuple(each.site for each in self.confined),
                             dataclasses.replace(execution, remat=False, mesh=None)))
        confined = tuple(each._replace(size=float(size)) for each, size in zip(self.confined, sizes, strict=True))
        return dataclasses.replace(self, confined=confined, relative=False)

    def weights(self, batch: TrainBatch) -> np.ndarray:
        """(B, T) float32: zero at padding and special tokens and at the first of every row, elsewhere alike.

        Their sum is the number of targets. Filler rows, which have one token, count nowhere.
        """
        steps = np.arange(batch.tokens.shape[1])
        counts = (steps > 0) & (steps < batch.lengths[:, None]) & ~np.isin(batch.tokens, self.special_ids)
        targets = max(int((batch.targets >= 0).sum()), 1)
        return (counts * (targets / max(int(counts.sum()), 1))).astype(np.float32)

    def loss_sum(self, applied: Params, cfg: DecoderConfig, batch: StepBatch, execution: Execution) -> jax.Array:
        """The sum of −ln p(target) and of λ·L_sub for every target; the tree is what `Adapter.applied` makes."""
        sites = tuple(each.reads if self.kind == "output" else each.site for each in self.confined)
        hidden, seen = watched(applied, cfg, batch.tokens, batch.lengths, sites, execution, at=batch.positions)
        before = {} if self.kind != "displacement" else jax.lax.stop_gradient(
            site_states(split_factors(applied)[0], cfg, batch.tokens, batch.lengths, sites, execution))
        total = jnp.float32(0)
        for each, site in zip(self.confined, sites, strict=True):
            state = seen[site] - before[site] if before else seen[site]
            state = _added(applied, each, state, execution) if self.kind == "output" else state
            total += jnp.sum(batch.weights * orthogonal_energy(state, jnp.asarray(each.basis))) / each.size
        return head_loss(applied, cfg, hidden, batch.labels, execution) + self.factor * total / len(self.confined)


def _added(applied: Params, confined: Confined, x: jax.Array, execution: Execution) -> jax.Array:
    """What the factors of a kernel make of its input."""
    flat = flatten(applied)
    a, b = (flat[factor_path(confined.kernel, side)][confined.layer] for side in ("lora_a", "lora_b"))
    return product("btr,ro->bto", product("bti,ir->btr", x, a, execution), b, execution)


def _sizes(params: Params, cfg: DecoderConfig, batch: TrainBatch, weights: np.ndarray, sites: tuple[str, ...],
           execution: Execution) -> jax.Array:
    """Weighted mean ‖h‖² of the base model at each site."""
    @jax.jit
    def sizes(params: Params) -> jax.Array:
        seen = site_states(params, cfg, jnp.asarray(batch.tokens), jnp.asarray(batch.lengths), sites, execution)
        return jnp.stack([jnp.sum(weights * jnp.sum(seen[site] ** 2, -1)) for site in sites]) / jnp.sum(weights)

    return sizes(split_factors(params)[0])
