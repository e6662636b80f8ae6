"""What a decoder is made of, as frozen (hashable) dataclasses: the static half of every compiled function."""

from dataclasses import dataclass

import jax
from jax.sharding import Mesh


@dataclass(frozen=True)
class RopeConfig:
    """Rotary positions; `kind` is `default`, `linear` or `llama3`, and fields a kind does not have are left alone."""

    theta: float
    kind: str = "default"
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 1.0
    original_max_positions: int = 0


@dataclass(frozen=True)
class DecoderConfig:
    """Shapes and numerical constants of one decoder-only model; the defaults are Llama's.

    Attributes:
        family: names the config reader and the key table.
        qk_norm: queries and keys are normalised, head by head, before they are rotated.
        sandwich_norms: what attention and MLP return is normalised too, before it joins the residual stream.
        norm_offset: a norm multiplies by `norm_offset + scale`.
        activation: of the MLP's gate, a key of `decoder.ACTIVATIONS`.
        embed_scale: embeddings are multiplied by this number, rounded to the compute dtype.
        attention_scale: factor of the attention scores; None is 1/√head_dim.
        attention_softcap: scores s become c·tanh(s/c); None leaves them alone.
        final_softcap: the same for the logits.
        sliding_window: in sliding layers a token sees the last so many, itself included.
        sliding_layers: whether each layer slides; empty if none does.
    """

    family: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    max_positions: int
    rms_norm_eps: float
    rope: RopeConfig
    tie_embeddings: bool
    qkv_bias: bool = False
    o_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    sandwich_norms: bool = False
    norm_offset: float = 0.0
    activation: str = "silu"
    embed_scale: float = 1.0
    attention_scale: float | None = None
    attention_softcap: float | None = None
    final_softcap: float | None = None
    sliding_window: int | None = None
    sliding_layers: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Execution:
    """How a forward pass runs, never what it computes.

    Attributes:
        compute_dtype: operands of matrix products (`float32` at highest precision, or `bfloat16`); accumulation,
            normalisation, softmax and the residual stream are float32 either way.
        remat: recompute each block in the backward pass instead of keeping its activations.
        scan: apply the block by `lax.scan` instead of an unrolled loop; None decides by backend.
        mesh: compute mesh over which the rows of a batch are divided from the first layer to the last; None: one device.
    """

    compute_dtype: str = "float32"
    remat: bool = False
    scan: bool | None = None
    mesh: Mesh | None = None

    @property
    def scans(self) -> bool:
        """On CPU a scan copies every weight slice and is slower; elsewhere it keeps compile time flat."""
        return jax.default_backend() != "cpu" if self.scan is None else self.scan
