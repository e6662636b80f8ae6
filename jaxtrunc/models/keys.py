"""Key rules: which Hugging Face tensor is which leaf. One list per family, read forwards and backwards."""

from dataclasses import dataclass

PROJECTIONS = {"attn": ("q_proj", "k_proj", "v_proj", "o_proj"), "mlp": ("gate_proj", "up_proj", "down_proj")}


@dataclass(frozen=True)
class KeyRule:
    """Tensor `hf` (with `{i}` for the layer, if stacked) is leaf `path`.

    `transpose`: stored (out, in), ours (in, out).
    """

    hf: str
    path: str
    transpose: bool = False

    @property
    def stacked(self) -> bool:
        """True if the leaf has a leading layer axis."""
        return "{i}" in self.hf


def decoder_rules(biased: tuple[str, ...]) -> tuple[KeyRule, ...]:
    """The names Llama gave and most families kept; `biased` lists the projections that may have a bias."""
    rules = [KeyRule("model.embed_tokens.weight", "embed/embedding")]
    for part, leaf, norm in (("self_attn", "attn", "input"), ("mlp", "mlp", "post_attention")):
        scale = f"layers/{norm}_norm/scale"
        rules.append(KeyRule(f"model.layers.{{i}}.{norm}_layernorm.weight", scale))
        for name in PROJECTIONS[leaf]:
            stem, path = f"model.layers.{{i}}.{part}.{name}", f"layers/{leaf}/{name}"
            rules.append(KeyRule(f"{stem}.weight", f"{path}/kernel", transpose=True))
            if name in biased:
                rules.append(KeyRule(f"{stem}.bias", f"{path}/bias"))
    rules.append(KeyRule("model.norm.weight", "final_norm/scale"))
    rules.append(KeyRule("lm_head.weight", "lm_head/kernel", transpose=True))
    return tuple(rules)


def norm_rule(hf: str, path: str) -> KeyRule:
    """A further norm in every layer, named inside the layer."""
    return KeyRule(f"model.layers.{{i}}.{hf}.weight", f"layers/{path}/scale")
