"""Llama Scope (He et al. 2024, arXiv 2410.20526): hyperparams.json and checkpoints/final.safetensors, matrices as torch has them.

Activations are scaled to a mean norm of √d and the threshold is given for those as they come, so it is scaled too. The trainer
compares pre-activations times the norm of the decoder row with it where `sparsity_include_decoder_norm` is set; as in SAELens,
which most figures for these files come from, the pre-activations alone are compared here.
"""

from math import sqrt
from pathlib import Path

import numpy as np

from jaxtrunc.sae.formats.hooks import site_of_hook
from jaxtrunc.sae.formats.settings import Settings, read_settings
from jaxtrunc.sae.formats.weights import as_fields, open_safetensors, read_parts
from jaxtrunc.sae.sae import SAE

FILES = ("hyperparams.json", "checkpoints/final.safetensors")
KEYS = {"w_enc": "encoder.weight", "w_dec": "decoder.weight", "b_enc": "encoder.bias", "b_dec": "decoder.bias"}


def read(directory: Path) -> SAE:
    """A jumprelu autoencoder with scales for its input and output."""
    settings, weights = read_settings(directory / FILES[0]), open_safetensors(directory / FILES[1])
    _refuse_what_is_not_computed(settings)
    weights.refuse([name for name in weights.shapes if name.startswith("encoder_glu")], "a gate that is not computed here")
    arrays = read_parts(weights, KEYS, transposed=("w_enc", "w_dec"))
    n, d = arrays["w_dec"].shape
    for key, size in (("d_model", d), ("d_sae", n)):
        if settings.get(key) is not None and settings.whole(key) != size:
            raise settings.wrong(key, f"{size} as in {weights.file.name}", settings.get(key))
    scale = _scale(settings, d)
    threshold = settings.number(settings.get("jump_relu_threshold"), "jump_relu_threshold")
    arrays["threshold"] = np.full(n, threshold * scale, np.float32)
    hook = settings.text("hook_point_in")
    return SAE(**as_fields(arrays), kind="jumprelu", input_scale=scale,
               output_scale=scale, subtract_b_dec=settings.flag("apply_decoder_bias_to_pre_encoder", False),
               meta=() if hook is None else (("site", str(site_of_hook(settings.file, "hook_point_in", hook))),))


def _refuse_what_is_not_computed(settings: Settings) -> None:
    settings.allow("act_fn", "jumprelu")
    settings.allow("norm_activation", "dataset-wise")
    settings.allow("use_glu_encoder", False)
    settings.allow("use_decoder_bias", True)
    out = settings.text("hook_point_out")
    if out is not None and out != settings.get("hook_point_in"):
        raise settings.wrong("hook_point_out", "hook_point_in; this is a transcoder, which reads one site and writes another", out)


def _scale(settings: Settings, d: int) -> float:
    """√d over the mean norm of the activations, one for both ends."""
    norms = settings.section("dataset_average_activation_norm")
    name = "dataset_average_activation_norm"
    given = norms.number(norms.get("in"), f"{name}.in")
    if given < 1e-6:
        raise norms.wrong(f"{name}.in", "the mean norm of the activations", given)
    if norms.get("out") not in (None, given):
        raise norms.wrong(f"{name}.out", f"{given} as at the input; this is a transcoder", norms.get("out"))
    return sqrt(d) / given
