"""Gemma 2 (Gemma team 2024, arXiv 2408.00118): norms around attention and MLP, soft caps, every other layer slides."""

from jaxtrunc.models.config import DecoderConfig
from jaxtrunc.models.families.family import Family
from jaxtrunc.models.fields import Fields, common_fields
from jaxtrunc.models.keys import PROJECTIONS, decoder_rules, norm_rule
from jaxtrunc.models.windows import chosen_layers

ACTIVATION = "gelu_pytorch_tanh"


def _read(fields: Fields) -> DecoderConfig:
    biased = fields.flag("attention_bias", default=False)
    heads = fields.integer("num_attention_heads")
    fields.expect("hidden_activation", ACTIVATION)
    fields.take("hidden_act")  # the published configs carry it as well; transformers does not look at it
    common = common_fields(fields, heads, explicit_head_dim=True, tied=True)
    window = fields.integer_or_null("sliding_window")
    return DecoderConfig(
        family="gemma2",
        num_heads=heads,
        num_kv_heads=fields.integer("num_key_value_heads"),
        qkv_bias=biased,
        o_bias=biased,
        sandwich_norms=True,
        norm_offset=1.0,
        activation=ACTIVATION,
        embed_scale=common["hidden_size"] ** 0.5,
        attention_scale=fields.number("query_pre_attn_scalar") ** -0.5,
        attention_softcap=fields.number_or_null("attn_logit_softcapping"),
        final_softcap=fields.number_or_null("final_logit_softcapping"),
        **common,
        **chosen_layers(fields, common["num_layers"], window, lambda layer: layer % 2 == 0),
    )


_NORMS = tuple(norm_rule(f"{place}_feedforward_layernorm", f"{place}_feedforward_norm") for place in ("pre", "post"))
FAMILY = Family("gemma2", _read, decoder_rules(biased=PROJECTIONS["attn"]) + _NORMS)
