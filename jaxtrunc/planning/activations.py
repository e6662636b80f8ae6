"""What a forward or training pass needs beside its arguments, per device.

The factors count float32 numbers per token; they were fitted to the memory analysis of XLA:CPU over widths, depths and lengths
(tests/plan/test_activations.py compares) and take scores, (heads, T, T), for what they are: nothing here is flash attention.
On CPU the layers are unrolled, and XLA copies the slices of all stacked kernels at once; elsewhere a scan copies one layer's.
"""

from dataclasses import dataclass

from jaxtrunc.models import DecoderConfig
from jaxtrunc.planning.meshes import MeshShape

FLOAT32 = 4


@dataclass(frozen=True)
class Widths:
    """Numbers per token on one device: residual stream, MLP, queries, keys (or values), attention scores of all heads."""

    stream: float
    mlp: float
    query: float
    key: float
    scores: float


@dataclass(frozen=True)
class Batch:
    """Rows of a pass and tokens of each, and the mesh they are on."""

    rows: int
    tokens: int
    mesh: MeshShape

    @property
    def own(self) -> int:
        """Rows on one device."""
        return -(-self.rows // self.mesh.rows)


def widths(cfg: DecoderConfig, batch: Batch) -> Widths:
    """Per token of a batch: all that is inside a layer is divided over `tensor`, the residual stream is whole."""
    tensor = batch.mesh.tensor
    return Widths(cfg.hidden_size, cfg.intermediate_size / tensor, cfg.num_heads * cfg.head_dim / tensor,
                  cfg.num_kv_heads * cfg.head_dim / tensor, cfg.num_heads * batch.tokens / tensor)


def forward_bytes(cfg: DecoderConfig, batch: Batch) -> int:
    """The widest moment of a forward pass, nothing being kept for a backward one, and the logits at the last token."""
    w = widths(cfg, batch)
    token = 1.4 * w.stream + 2.2 * w.mlp + 2.7 * w.scores
    return int(FLOAT32 * batch.own * (batch.tokens * token + cfg.vocab_size / batch.mesh.tensor))


def kept_bytes(cfg: DecoderConfig, batch: Batch, *, remat: bool = False, scans: bool = False) -> int:
    """What the backward pass needs of the forward one, and the layer it is working on.

    XLA:CPU undoes most of `remat` where layers are unrolled; there the last layer is computed at the answer alone and keeps
    next to nothing.
    """
    w, layers = widths(cfg, batch), cfg.num_layers - (not scans)
    layer = 4.3 * w.stream + (4 if remat else 5) * w.mlp + 2.3 * w.query + 0.8 * w.key + 3 * w.scores
    inside = 3 * w.mlp
    if scans:
        layer = w.stream if remat else 5.1 * w.stream + 5 * w.mlp + 2.6 * (w.query + w.key) + 2.8 * w.scores
        inside = 8 * (w.stream + w.mlp) + 2.7 * w.scores if remat else 8.7 * w.mlp
    return int(FLOAT32 * batch.own * batch.tokens * (layers * layer + inside))


def answer_logits_bytes(cfg: DecoderConfig, batch: Batch) -> int:
    """Logits at the two tokens of an answer, their softmax and its gradient."""
    return int(3 * FLOAT32 * 2 * batch.own * cfg.vocab_size / batch.mesh.tensor)
