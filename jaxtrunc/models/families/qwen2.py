"""Qwen2 and Qwen2.5 (Yang et al. 2024, arXiv 2407.10671): Llama with a bias on q, k and v."""

from jaxtrunc.models.config import DecoderConfig
from jaxtrunc.models.families.family import Family
from jaxtrunc.models.fields import Fields, common_fields
from jaxtrunc.models.keys import decoder_rules
from jaxtrunc.models.windows import upper_layers


def _read(fields: Fields) -> DecoderConfig:
    heads = fields.integer("num_attention_heads")
    fields.expect("hidden_act", "silu")
    common = common_fields(fields, heads)
    return DecoderConfig(
        family="qwen2",
        num_heads=heads,
        num_kv_heads=fields.integer("num_key_value_heads"),
        qkv_bias=True,
        **common,
        **upper_layers(fields, common["num_layers"]),
    )


FAMILY = Family("qwen2", _read, decoder_rules(biased=("q_proj", "k_proj", "v_proj")))
