"""An autoencoder → a directory that SAELens, and `load_sae`, open."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.files import naming, push_to_disk, staging_name
from jaxtrunc.core.jsonio import write_json
from jaxtrunc.core.processes import fetch, is_main
from jaxtrunc.sae.fold import fold_scales
from jaxtrunc.sae.formats.hooks import hook_of
from jaxtrunc.sae.formats.saelens import BIASES, COMMON, FILES
from jaxtrunc.sae.sae import SAE
from jaxtrunc.sae.sites import parse_site

LAYOUT = "6.0.0"  # of SAELens; older readers take the settings at the top for those of a flat file
OURS = ("site", "model", "format", "id")  # what meta holds that has another name there, or tells where it came from


def save_sae(directory: Path, sae: SAE) -> None:
    """Write cfg.json and sae_weights.safetensors, scales folded into biases and thresholds; cfg.json comes last.

    Every process must call it; the first writes.

    Raises:
      InputError: there is an autoencoder already.
    """
    settings, weights = (directory / name for name in FILES)
    if settings.exists():
        raise InputError(f"{settings}: exists; nothing is overwritten, choose another directory")
    sae = fold_scales(sae)
    tensors = {key: fetch(getattr(sae, name)) for name, key in (COMMON | {name: name for name in BIASES[sae.kind]}).items()}
    if not is_main():
        return
    directory.mkdir(parents=True, exist_ok=True)
    with naming(directory):
        _write_weights(weights, tensors)
        write_json(settings, _settings(sae))


def _write_weights(file: Path, tensors: dict[str, np.ndarray]) -> None:
    from safetensors.numpy import save_file

    staged = staging_name(file)
    save_file({key: np.ascontiguousarray(array, np.float32) for key, array in tensors.items()}, staged, metadata={"format": "pt"})
    push_to_disk(staged)
    staged.replace(file)


def _settings(sae: SAE) -> dict[str, Any]:
    facts = sae.facts
    data: dict[str, Any] = {"sae_lens_version": LAYOUT, "written_by": "jaxtrunc"}
    if "site" in facts:
        data["hook_name"] = hook_of(parse_site(str(facts["site"])))
    if "model" in facts:
        data["model_name"] = facts["model"]
    data |= {key: value for key, value in facts.items() if key not in OURS}
    chosen = {"k": sae.k, "rescale_acts_by_decoder_norm": False} if sae.kind == "topk" else {}
    return {"architecture": sae.kind, "d_in": sae.d, "d_sae": sae.n, "dtype": "float32", "device": "cpu",
            "apply_b_dec_to_input": sae.subtract_b_dec, "normalize_activations": "none", "reshape_activations": "none",
            **chosen, "metadata": data}
