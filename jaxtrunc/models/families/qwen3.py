"""Qwen3, dense (Qwen team 2025, arXiv 2505.09388): Qwen2 with normalised queries and keys instead of their bias."""

from jaxtrunc.models.config import DecoderConfig
from jaxtrunc.models.families.family import Family
from jaxtrunc.models.fields import Fields, common_fields
from jaxtrunc.models.keys import PROJECTIONS, decoder_rules, norm_rule
from jaxtrunc.models.windows import upper_layers


def _read(fields: Fields) -> DecoderConfig:
    biased = fields.flag("attention_bias", default=False)
    heads = fields.integer("num_attention_heads")
    fields.expect("hidden_act", "silu")
    common = common_fields(fields, heads, explicit_head_dim=True)
    return DecoderConfig(
        family="qwen3",
        num_heads=heads,
        num_kv_heads=fields.integer("num_key_value_heads"),
        qkv_bias=biased,
        o_bias=biased,
        qk_norm=True,
        **common,
        **upper_layers(fields, common["num_layers"]),
    )


_NORMS = (norm_rule("self_attn.q_norm", "attn/q_norm"), norm_rule("self_attn.k_norm", "attn/k_norm"))
FAMILY = Family("qwen3", _read, decoder_rules(biased=PROJECTIONS["attn"]) + _NORMS)
