"""What a family file provides."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtrunc.models.config import DecoderConfig
from jaxtrunc.models.fields import Fields
from jaxtrunc.models.keys import KeyRule


@dataclass(frozen=True)
class Family:
    """One architecture.

    Attributes:
        name: `model_type` in config.json.
        read: takes the config's fields one by one (so that what is left over is known) and builds our config.
        rules: every rule any model of the family may need; `key_table(cfg)` drops those a model does not have.
        ignored: regex of tensor names that hold nothing (buffers recomputed from the config).
    """

    name: str
    read: Callable[[Fields], DecoderConfig]
    rules: tuple[KeyRule, ...]
    ignored: str = r"\.rotary_emb\.inv_freq$"
