"""The key table of one model: its family's rules, cut to the leaves it has, and what follows from them."""

from collections.abc import Iterator

from jaxtrunc.core.trees import flatten
from jaxtrunc.models.config import DecoderConfig
from jaxtrunc.models.families import FAMILIES
from jaxtrunc.models.forward import abstract_params
from jaxtrunc.models.keys import KeyRule


def leaf_shapes(cfg: DecoderConfig) -> dict[str, tuple[int, ...]]:
    """Path → shape in our layout, layers stacked."""
    return {path: leaf.shape for path, leaf in flatten(abstract_params(cfg)).items()}


def key_table(cfg: DecoderConfig) -> tuple[KeyRule, ...]:
    """The rules for exactly the leaves a model of this configuration has (no head if tied, no bias if without)."""
    leaves = leaf_shapes(cfg)
    return tuple(rule for rule in FAMILIES[cfg.family].rules if rule.path in leaves)


def hf_names(cfg: DecoderConfig) -> dict[str, list[str]]:
    """Path → tensor name of every layer (a list of one for leaves that are not stacked)."""
    return {rule.path: rule_names(rule, cfg) for rule in key_table(cfg)}


def rule_names(rule: KeyRule, cfg: DecoderConfig) -> list[str]:
    """The tensor names one rule stands for, by layer."""
    return [rule.hf.format(i=i) for i in range(cfg.num_layers)] if rule.stacked else [rule.hf]


def hf_shapes(cfg: DecoderConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every tensor name with its shape in Hugging Face layout, in file order."""
    leaves = leaf_shapes(cfg)
    for rule in key_table(cfg):
        shape = leaves[rule.path][1:] if rule.stacked else leaves[rule.path]
        for name in rule_names(rule, cfg):
            yield name, shape[::-1] if rule.transpose else shape


def leaf_class(cfg: DecoderConfig, path: str) -> str:
    """`linear`, `embedding`, `lm_head`, `vector` or `other`."""
    if path not in leaf_shapes(cfg):
        return "other"
    room, name = path.split("/", 1)[0], path.rsplit("/", 1)[-1]
    if name in ("bias", "scale"):
        return "vector"
    return {"embed": "embedding", "lm_head": "lm_head"}.get(room, "linear")
