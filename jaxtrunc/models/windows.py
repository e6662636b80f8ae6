"""Which layers slide (a token sees the last `sliding_window` tokens only), from what config.json says."""

from collections.abc import Callable
from typing import Any

from jaxtrunc.models.fields import Fields

FULL, SLIDING = "full_attention", "sliding_attention"


def uniform_layers(fields: Fields, num_layers: int, window: int | None) -> dict[str, Any]:
    """All layers alike, in families whose models do not look at `layer_types`: it may be there if it says the same."""
    kind = FULL if window is None else SLIDING
    types = fields.take("layer_types")
    if types is not None and types != [kind] * num_layers:
        fields.fault("layer_types", f"{num_layers} times {kind}", types)
    return _arguments(window, [kind] * num_layers)


def chosen_layers(fields: Fields, num_layers: int, window: int | None, slides: Callable[[int], bool]) -> dict[str, Any]:
    """The layers that `layer_types` names; without it, those whose index `slides`."""
    types = fields.take("layer_types")
    if types is None:
        types = [SLIDING if slides(layer) else FULL for layer in range(num_layers)]
    if not isinstance(types, list) or len(types) != num_layers or any(kind not in (FULL, SLIDING) for kind in types):
        fields.fault("layer_types", f"{num_layers} times {FULL} or {SLIDING}", types)
    elif window is None and SLIDING in types:
        fields.fault("layer_types", f"{num_layers} times {FULL}, as no sliding_window is in use", types)
    else:
        return _arguments(window, types)
    return {}


def upper_layers(fields: Fields, num_layers: int) -> dict[str, Any]:
    """Qwen's words: layers from `max_window_layers` on slide if `use_sliding_window`, unless `layer_types` names them.

    The published configs carry a window and have it switched off.
    """
    if not fields.flag("use_sliding_window", default=False):
        for unused in ("sliding_window", "max_window_layers"):
            fields.take(unused)
        return chosen_layers(fields, num_layers, None, lambda layer: False)
    window = fields.integer_or_null("sliding_window")
    named = fields.values.get("layer_types") is not None
    first = fields.take("max_window_layers") if named else fields.integer("max_window_layers", least=0)
    return chosen_layers(fields, num_layers, window, lambda layer: window is not None and layer >= first)


def _arguments(window: int | None, types: list[str]) -> dict[str, Any]:
    """Fields of `DecoderConfig`; models that compute the same have the same."""
    if SLIDING not in types:
        return {}
    return {"sliding_window": window, "sliding_layers": tuple(kind == SLIDING for kind in types)}
