"""How PEFT names things: files, keys of a LoRA checkpoint, and which pattern of a config speaks of which module."""

import math
import re
from collections.abc import Mapping
from typing import Any

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")


def factor_key(module: str, side: str) -> str:
    """The checkpoint key of one factor; `side` is A, shape `(r, in)`, or B, shape `(out, r)`."""
    return f"{_PREFIX}{module}.lora_{side}.weight"


def parse_key(key: str) -> tuple[str, str] | None:
    """`(module, side)` of a factor's key; None for a key that is no LoRA factor of a linear layer."""
    match = _KEY.fullmatch(key)
    return (match["module"], match["side"]) if match else None


def rank_and_scale(config: Mapping[str, Any], module: str) -> tuple[int, float]:
    """Rank and scale that PEFT gives to `module`: alpha/r, or alpha/√r for rank-stabilised LoRA."""
    rank = _resolve(config.get("rank_pattern") or {}, module, config["r"])
    alpha = _resolve(config.get("alpha_pattern") or {}, module, config["lora_alpha"])
    return rank, alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _resolve(patterns: Mapping[str, Any], module: str, default: Any) -> Any:
    """The value of the first pattern that matches the module's name or its end (`get_pattern_key` of PEFT)."""
    for pattern, value in patterns.items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default
