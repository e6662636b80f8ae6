"""Mistral (Jiang et al. 2023, arXiv 2310.06825): Llama whose layers slide, all of them or, from version 0.2 on, none."""

from jaxtrunc.models.config import DecoderConfig
from jaxtrunc.models.families.family import Family
from jaxtrunc.models.fields import Fields, common_fields
from jaxtrunc.models.keys import decoder_rules
from jaxtrunc.models.windows import uniform_layers


def _read(fields: Fields) -> DecoderConfig:
    heads = fields.integer("num_attention_heads")
    fields.expect("hidden_act", "silu")
    common = common_fields(fields, heads)
    return DecoderConfig(
        family="mistral",
        num_heads=heads,
        num_kv_heads=fields.integer("num_key_value_heads"),
        **common,
        **uniform_layers(fields, common["num_layers"], fields.integer_or_null("sliding_window")),
    )


FAMILY = Family("mistral", _read, decoder_rules(biased=()))
