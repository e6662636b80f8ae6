"""config.json → `DecoderConfig`, refusing whatever the decoder would silently compute differently."""

from pathlib import Path
from typing import Any

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.jsonio import read_json
from jaxtrunc.core.safetensors import listed
from jaxtrunc.models.config import DecoderConfig
from jaxtrunc.models.families import FAMILIES
from jaxtrunc.models.fields import IRRELEVANT, Fields

CONFIG = "config.json"
MAX_WIDTH = 2**31 - 1


def read_config(directory: Path) -> DecoderConfig:
    """The configuration of a Hugging Face model directory.

    Raises:
        InputError: lists all faults at once: unknown family, missing or malformed fields, fields this decoder does not
            know whose value is not the default of transformers' own config class.
    """
    file = directory / CONFIG
    values = read_json(file)
    if not isinstance(values, dict):
        raise InputError(f"{file}: expected a JSON object")
    family = FAMILIES.get(str(values.get("model_type")))
    if family is None:
        known = ", ".join(sorted(FAMILIES))
        raise InputError(f"{file}: model_type: expected one of {known}, found {values.get('model_type')!r}")
    fields = Fields(values)
    config = family.read(fields)
    _check_sizes(fields, config)
    _refuse_unknown(fields, family.name)
    if fields.faults:
        raise InputError(f"{file}: {listed(fields.faults)}")
    return config


def _check_sizes(fields: Fields, config: DecoderConfig) -> None:
    for name, width in (("num_attention_heads", config.num_heads), ("num_key_value_heads", config.num_kv_heads)):
        if width * config.head_dim > MAX_WIDTH:
            fields.fault(name, f"at most {MAX_WIDTH} features in all heads", width)
    if config.num_heads % config.num_kv_heads:
        fields.fault("num_key_value_heads", f"a divisor of num_attention_heads {config.num_heads}", config.num_kv_heads)


def _refuse_unknown(fields: Fields, family: str) -> None:
    """What is left must be switched off (null, false, empty) or equal the default of transformers' class."""
    left = {k: v for k, v in fields.left.items() if k not in IRRELEVANT and not _switched_off(v)}
    if not left:
        return
    defaults, generation = _transformers_fields(family)
    for name, value in left.items():
        if name in generation or (name in defaults and defaults[name] == value):
            continue
        expected = f"the default {defaults[name]!r}" if name in defaults else "no such field"
        fields.fault(name, f"{expected} (this decoder knows nothing else)", value)


def _switched_off(value: Any) -> bool:
    return value is None or value is False or value == [] or value == {}


def _transformers_fields(family: str) -> tuple[dict[str, Any], set[str]]:
    """The defaults of the family's own config class, and the names of settings that only steer generation."""
    from transformers import CONFIG_MAPPING, GenerationConfig

    return CONFIG_MAPPING[family]().to_dict(), set(GenerationConfig().to_dict())
