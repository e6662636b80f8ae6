"""Taking the fields of a config.json one by one, collecting every fault instead of stopping at the first."""

from collections.abc import Callable
from typing import Any

from jaxtrunc.models.config import RopeConfig

# Fields that change no number in a forward pass over given tokens.
IRRELEVANT = frozenset([
    "model_type", "architectures", "torch_dtype", "dtype", "use_cache", "initializer_range", "_name_or_path",
    "transformers_version", "tokenizer_class", "bos_token_id", "eos_token_id", "pad_token_id", "max_sequence_length",
    "pretraining_tp", "_attn_implementation", "_attn_implementation_autoset",
])  # fmt: skip

MAX_LAYERS = 10_000  # a name is written down for every layer: a config must not be able to ask for a billion
MAX_NUMBER = 1e30  # beyond, its powers leave float32


class Fields:
    """A config.json being read; every access marks the field as understood, `faults` holds what is wrong so far."""

    def __init__(self, values: dict[str, Any], prefix: str = "", faults: list[str] | None = None):
        self.values, self.prefix = values, prefix
        self.left = dict(values)
        self.faults: list[str] = [] if faults is None else faults

    def take(self, name: str) -> Any:
        """The field as it stands, or None."""
        self.left.pop(name, None)
        return self.values.get(name)

    def integer(self, name: str, default: int | None = None, least: int = 1, most: int = 2**31 - 1) -> int:
        """A whole number from `least` to `most`."""
        expected = f"a whole number from {least} to {most}"
        return self._typed(name, default, expected, lambda v: type(v) is int and least <= v <= most, 1)

    def number(self, name: str) -> float:
        """A positive number; never a default."""
        return float(self._typed(name, None, "a positive number", lambda v: type(v) in (int, float) and 0 < v <= MAX_NUMBER, 1.0))

    def integer_or_null(self, name: str) -> int | None:
        """A whole number, or None if config.json says null: a field that is not there at all is a fault."""
        return None if self._null(name) else self.integer(name)

    def number_or_null(self, name: str) -> float | None:
        """A positive number, or None if config.json says null: a field that is not there at all is a fault."""
        return None if self._null(name) else self.number(name)

    def flag(self, name: str, default: bool) -> bool:
        """true or false."""
        return self._typed(name, default, "true or false", lambda v: isinstance(v, bool), False)

    def expect(self, name: str, wanted: Any) -> None:
        """A field that may be absent, but has one supported value."""
        found = self.take(name)
        if found is not None and found != wanted:
            self.fault(name, wanted, found)

    def fault(self, name: str, expected: Any, found: Any) -> None:
        """Note what is wrong with a field."""
        self.faults.append(f"{self.prefix}{name}: expected {expected}, found {_short(found)}")

    def _null(self, name: str) -> bool:
        return name in self.values and self.take(name) is None

    def _typed(self, name: str, default: Any, expected: str, valid: Callable[[Any], bool], placeholder: Any) -> Any:
        """The value; its default if absent or null and it has one; else a fault and a harmless placeholder."""
        value = self.take(name)
        if value is None and default is not None:
            return default
        if not valid(value):
            self.fault(name, expected, value)
            return placeholder
        return value


def common_fields(fields: Fields, num_heads: int, *, explicit_head_dim: bool = False, tied: bool = False) -> dict[str, Any]:
    """What every family's config.json says in the same words, as arguments of `DecoderConfig`.

    Args:
        fields: the config.json being read.
        num_heads: of queries.
        explicit_head_dim: there must be a `head_dim`; elsewhere it is hidden_size / num_heads if config.json does not say.
        tied: default of `tie_word_embeddings` in transformers' own class; checked against the weights.
    """
    fields.expect("attention_dropout", 0)
    fields.expect("partial_rotary_factor", 1)
    layers, width = fields.integer("num_hidden_layers", most=MAX_LAYERS), fields.integer("hidden_size")
    return {
        "vocab_size": fields.integer("vocab_size"),
        "hidden_size": width,
        "intermediate_size": fields.integer("intermediate_size"),
        "num_layers": layers,
        "head_dim": _head_dim(fields, width, num_heads, explicit_head_dim),
        "max_positions": fields.integer("max_position_embeddings"),
        "rms_norm_eps": fields.number("rms_norm_eps"),
        "rope": read_rope(fields),
        "tie_embeddings": fields.flag("tie_word_embeddings", default=tied),
    }


def _head_dim(fields: Fields, width: int, num_heads: int, explicit: bool) -> int:
    given = fields.values.get("head_dim") is not None
    if not given and not explicit and width % num_heads:
        fields.fault("num_attention_heads", f"a divisor of hidden_size {width}", num_heads)
    head_dim = fields.integer("head_dim", default=None if explicit else max(width // num_heads, 2))
    if head_dim % 2 and (given or not explicit):  # one fault is enough where it is missing
        fields.fault("head_dim", "an even number (rotary pairs)", head_dim)
    return head_dim


def read_rope(fields: Fields) -> RopeConfig:
    """Rotary settings from `rope_parameters` (transformers 5) or from `rope_theta` and `rope_scaling` (before).

    The base has no default: with a wrong one everything runs and every number is wrong.
    """
    new = fields.take("rope_parameters")
    old = fields.take("rope_scaling")
    theta = fields.take("rope_theta")
    given = new if new is not None else old if old is not None else {}
    if not isinstance(given, dict):
        fields.fault("rope_parameters" if new is not None else "rope_scaling", "an object", given)
        given = {}
    rope = Fields({"rope_theta": theta, **given}, "rope_parameters." if new is not None else "rope ", fields.faults)
    kind = _rope_kind(rope)
    config = _ROPE_READERS[kind](rope)
    rope.expect("partial_rotary_factor", 1)
    for name, value in rope.left.items():
        rope.fault(name, f"no such field for rope_type {kind}", value)
    return config


def _rope_kind(rope: Fields) -> str:
    old, new = rope.take("type"), rope.take("rope_type")
    kind = next((kind for kind in (new, old) if kind is not None), "default")
    if not isinstance(kind, str) or kind not in _ROPE_READERS:
        rope.fault("rope_type", f"one of {', '.join(_ROPE_READERS)}", kind)
        rope.left.clear()
        return "default"
    return kind


def _theta(rope: Fields) -> float:
    if rope.values.get("rope_theta") is None:
        rope.take("rope_theta")
        rope.fault("rope_theta", "the rotary base the model was trained with (10000.0 for Llama 1 and 2)", None)
        return 1.0
    return rope.number("rope_theta")


def _default(rope: Fields) -> RopeConfig:
    return RopeConfig(_theta(rope))


def _linear(rope: Fields) -> RopeConfig:
    return RopeConfig(_theta(rope), "linear", rope.number("factor"))


def _llama3(rope: Fields) -> RopeConfig:
    return RopeConfig(
        theta=_theta(rope),
        kind="llama3",
        factor=rope.number("factor"),
        low_freq_factor=rope.number("low_freq_factor"),
        high_freq_factor=rope.number("high_freq_factor"),
        original_max_positions=rope.integer("original_max_position_embeddings"),
    )


_ROPE_READERS = {"default": _default, "linear": _linear, "llama3": _llama3}


def _short(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
