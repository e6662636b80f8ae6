"""Qwen2 and Qwen2.5 (Yang et al. 2024, arXiv 2407.10671): Llama with a bias on q, k and v."""

from jaxtrunc.models.config import DecoderConfig
from jaxtrunc.models.families.family import Family
from jaxtrunc.models.fields import Fields, common_fields
from jaxtrunc.models.keys import decoder_rules


def _read(fields: Fields) -> DecoderConfig:
    heads = fields.integer("num_attention_heads")
    config = DecoderConfig(
        family="qwen2",
        num_heads=heads,
        num_kv_heads=fields.integer("num_key_value_heads"),
        qkv_bias=True,
        **common_fields(fields, heads),
    )
    _refuse_sliding_window(fields, config.num_layers)
    return config


def _refuse_sliding_window(fields: Fields, num_layers: int) -> None:
    """Layers from `max_window_layers` on slide if `use_sliding_window`; the published configs carry it switched off."""
    slides, first = fields.flag("use_sliding_window", default=False), fields.take("max_window_layers")
    fields.take("sliding_window")
    if slides and not (type(first) is int and first >= num_layers):
        fields.fault("use_sliding_window", "false (sliding attention is not supported)", True)


FAMILY = Family("qwen2", _read, decoder_rules(biased=("q_proj", "k_proj", "v_proj")))
