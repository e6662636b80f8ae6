"""A job without files: a decoder of chosen sizes and training settings."""

import jax
import jax.numpy as jnp

from jaxtrunc.core.trees import flatten
from jaxtrunc.models import DecoderConfig, RopeConfig, abstract_params
from jaxtrunc.planning.job import Job, Machine
from jaxtrunc.planning.meshes import MeshShape
from jaxtrunc.train import TrainSettings


def decoder(width=256, mlp=1024, layers=4, heads=8) -> DecoderConfig:
    """Qwen2-like, with a tiny vocabulary."""
    return DecoderConfig(family="qwen2", vocab_size=1000, hidden_size=width, intermediate_size=mlp, num_layers=layers,
                         num_heads=heads, num_kv_heads=2, head_dim=width // heads, max_positions=1024, rms_norm_eps=1e-6,
                         rope=RopeConfig(theta=1e4), tie_embeddings=True, qkv_bias=True)


def job_of(cfg: DecoderConfig, settings: TrainSettings, tokens: int) -> Job:
    """Nothing is decomposed."""
    leaves = {path: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16) for path, leaf in flatten(abstract_params(cfg)).items()}
    return Job(cfg, leaves, (), None, settings, tokens, 32)


def machine_of(mesh: MeshShape, accelerators: bool) -> Machine:
    """With memory enough."""
    return Machine(mesh, 2**40 if accelerators else None, 2**40, 2)
