"""SAELens (github.com/decoderesearch/SAELens): cfg.json, flat as of old or with `metadata`, and sae_weights.safetensors."""

from pathlib import Path
from typing import get_args

import numpy as np

from jaxtrunc.core.errors import InputError
from jaxtrunc.sae.fold import by_decoder_norm
from jaxtrunc.sae.formats.hooks import site_of_hook
from jaxtrunc.sae.formats.settings import Settings, read_settings
from jaxtrunc.sae.formats.weights import Weights, as_fields, open_safetensors, read_parts
from jaxtrunc.sae.sae import SAE, Kind

FILES = ("cfg.json", "sae_weights.safetensors")
COMMON = {"w_enc": "W_enc", "w_dec": "W_dec", "b_dec": "b_dec"}
BIASES = {"standard": ("b_enc",), "topk": ("b_enc",), "jumprelu": ("b_enc", "threshold"), "gated": ("b_gate", "b_mag", "r_mag")}


def read(directory: Path) -> SAE:
    """One of four kinds. Those that rescale activations by decoder norms choose their k in these units, and are folded here."""
    settings, weights = read_settings(directory / FILES[0]), open_safetensors(directory / FILES[1])
    kind = _kind(settings)
    _refuse_what_is_not_computed(settings)
    arrays = _arrays(weights, kind)
    for key, size in (("d_in", len(arrays["b_dec"])), ("d_sae", arrays["w_enc"].shape[1])):
        if settings.whole(key) != size:
            raise settings.wrong(key, f"{size} as in {weights.file.name}", settings.get(key))
    sae = SAE(**as_fields(arrays), kind=kind, meta=_said(settings),
              k=_k(settings, arrays["w_enc"].shape[1]) if kind == "topk" else None,
              subtract_b_dec=settings.flag("apply_b_dec_to_input", True))
    return by_decoder_norm(sae) if kind == "topk" and settings.flag("rescale_acts_by_decoder_norm", False) else sae


def _kind(settings: Settings) -> Kind:
    """By `architecture`; flat files of old have a standard one with another activation function."""
    kind = settings.text("architecture") or "standard"
    function = settings.text("activation_fn", "activation_fn_str") or "relu"
    if kind == "standard" and function == "topk":
        kind = "topk"
    if kind not in get_args(Kind):
        raise settings.wrong("architecture", " or ".join(get_args(Kind)), kind)
    if function not in ("relu", kind if kind == "topk" else "relu"):
        raise settings.wrong("activation_fn", "'relu', or 'topk' with the architecture of that name", function)
    return kind  # type: ignore[return-value]


def _k(settings: Settings, n: int) -> int:
    old = settings.section("activation_fn_kwargs")
    k = settings.whole("k") if settings.get("k") is not None else old.whole("k")
    if k > n:
        raise settings.wrong("k", f"at most the {n} latents there are", k)
    return k


def _refuse_what_is_not_computed(settings: Settings) -> None:
    settings.allow("normalize_activations", "none", False)
    settings.allow("finetuning_scaling_factor", False)
    settings.allow("reshape_activations", "none", "hook_z")
    for part in (settings, settings.section("metadata")):
        if (head := part.get("hook_head_index")) is not None:
            raise part.wrong("hook_head_index", "null (all heads together)", head)


def _arrays(weights: Weights, kind: Kind) -> dict[str, np.ndarray]:
    """The arrays of that kind and no others, but for a scaling factor of ones and a threshold kept as its logarithm."""
    keys = COMMON | {name: name for name in BIASES[kind]}
    if kind == "jumprelu":
        keys["threshold"] = weights.first("threshold", "log_threshold")
    weights.only({*keys.values(), "scaling_factor"})
    if "scaling_factor" in weights.shapes and not np.all(weights.read("scaling_factor") == 1):
        raise InputError(f"{weights.file}: 'scaling_factor' is not all ones: fine-tuned scales are not computed here")
    arrays = read_parts(weights, keys, count=BIASES[kind][0])
    if keys.get("threshold") == "log_threshold":
        arrays["threshold"] = np.exp(arrays["threshold"])
    return {"b_enc": np.zeros(arrays["w_enc"].shape[1], np.float32)} | arrays


def _said(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Site and model, where the file names them."""
    data = settings.section("metadata")
    hook = data.text("hook_name") or settings.text("hook_name", "hook_point")
    model = data.text("model_name") or settings.text("model_name")
    site = () if hook is None else (("site", str(site_of_hook(settings.file, "hook_name", hook))),)
    return (*site, *((("model", model),) if model else ()))
