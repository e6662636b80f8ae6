"""sparsify (github.com/EleutherAI/sparsify): cfg.json and sae.safetensors, the encoder as torch has it."""

import re
from pathlib import Path

from jaxtrunc.sae.formats.settings import read_settings
from jaxtrunc.sae.formats.weights import as_fields, open_safetensors, read_parts
from jaxtrunc.sae.sae import SAE
from jaxtrunc.sae.sites import Site

FILES = ("cfg.json", "sae.safetensors")
KEYS = {"w_enc": "encoder.weight", "w_dec": "W_dec", "b_enc": "encoder.bias", "b_dec": "b_dec"}
_MODULE = re.compile(r"(?:.*\.)?(?:layers|h)[._](\d{1,6})(?:\.(mlp|self_attn|attn|attention))?")


def read(directory: Path) -> SAE:
    """A topk autoencoder that subtracts b_dec; its site is the module that its folder is named after."""
    settings, weights = read_settings(directory / FILES[0]), open_safetensors(directory / FILES[1])
    settings.allow("activation", "topk")
    for key in ("transcode", "skip_connection", "signed"):
        settings.allow(key, False)
    weights.refuse(["W_skip"], "a skip connection, which is no part of an autoencoder")
    weights.only(KEYS.values())
    arrays = read_parts(weights, KEYS, transposed=("w_enc",))
    n, d = arrays["w_dec"].shape
    if settings.whole("d_in") != d:
        raise settings.wrong("d_in", f"{d} as in {weights.file.name}", settings.get("d_in"))
    key = "num_latents" if settings.get("num_latents") else "expansion_factor"  # 0 stands for: not given
    if settings.whole(key) * (1 if key == "num_latents" else d) != n:
        raise settings.wrong(key, f"what gives the {n} latents in {weights.file.name}", settings.get(key))
    k = settings.whole("k")
    if k > n:
        raise settings.wrong("k", f"at most the {n} latents there are", k)
    site = _site(directory.resolve().name)
    return SAE(**as_fields(arrays), kind="topk", k=k, subtract_b_dec=True,
               meta=(("site", site),) if site else ())


def _site(folder: str) -> str | None:
    """`layers.3` is what layer 3 gives out; `layers.3.mlp` and `layers.3.self_attn` what these give out."""
    match = _MODULE.fullmatch(folder)
    if match is None:
        return None
    kind = "resid_post" if match[2] is None else "mlp_out" if match[2] == "mlp" else "attn_out"
    return str(Site(kind, int(match[1])))
