"""One decoder for every family, and the way in from and out to Hugging Face directories."""

from jaxtrunc.models.apart import Operands
from jaxtrunc.models.config import DecoderConfig, Execution, RopeConfig
from jaxtrunc.models.forward import abstract_params, head_logits, hidden_states, init_params, prefix_cache
from jaxtrunc.models.generate import AFTER_STOP, generate
from jaxtrunc.models.hub import load_tokenizer, resolve_ref
from jaxtrunc.models.keys import KeyRule
from jaxtrunc.models.load import load_params
from jaxtrunc.models.lora import factor_path, split_factors
from jaxtrunc.models.read_config import read_config
from jaxtrunc.models.sites import edited, site_states, watched
from jaxtrunc.models.source import LazyLeaf, ModelSource, open_model
from jaxtrunc.models.table import hf_names, key_table, leaf_class
from jaxtrunc.models.write import hf_tensors, to_hf, write_model

__all__ = [
    "AFTER_STOP",
    "DecoderConfig",
    "Execution",
    "KeyRule",
    "LazyLeaf",
    "ModelSource",
    "Operands",
    "RopeConfig",
    "abstract_params",
    "edited",
    "factor_path",
    "generate",
    "head_logits",
    "hf_names",
    "hf_tensors",
    "hidden_states",
    "init_params",
    "key_table",
    "leaf_class",
    "load_params",
    "load_tokenizer",
    "open_model",
    "prefix_cache",
    "read_config",
    "resolve_ref",
    "site_states",
    "split_factors",
    "to_hf",
    "watched",
    "write_model",
]
