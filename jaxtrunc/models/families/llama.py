"""Llama 1, 2, 3 and 3.x (Touvron et al. 2023, arXiv 2302.13971; Llama team 2024, arXiv 2407.21783)."""

from jaxtrunc.models.config import DecoderConfig
from jaxtrunc.models.families.family import Family
from jaxtrunc.models.fields import Fields, common_fields
from jaxtrunc.models.keys import PROJECTIONS, decoder_rules
from jaxtrunc.models.windows import uniform_layers


def _read(fields: Fields) -> DecoderConfig:
    biased = fields.flag("attention_bias", default=False)
    heads = fields.integer("num_attention_heads")
    fields.expect("hidden_act", "silu")
    common = common_fields(fields, heads)
    return DecoderConfig(
        family="llama",
        num_heads=heads,
        num_kv_heads=fields.integer("num_key_value_heads", default=heads),  # Llama 1 configs do not have it
        qkv_bias=biased,
        o_bias=biased,
        mlp_bias=fields.flag("mlp_bias", default=False),
        **common,
        **uniform_layers(fields, common["num_layers"], window=None),
    )


FAMILY = Family("llama", _read, decoder_rules(biased=PROJECTIONS["attn"] + PROJECTIONS["mlp"]))
