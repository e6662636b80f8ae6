"""A directory → an autoencoder: which format it is, whether it belongs to the site that is asked for, and its decoder's norm."""

import hashlib
from dataclasses import replace
from pathlib import Path

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.rundir import sha256
from jaxtrunc.sae.fold import fold_decoder_norm
from jaxtrunc.sae.formats import gemma_scope, llama_scope, saelens, sparsify
from jaxtrunc.sae.sae import SAE
from jaxtrunc.sae.sites import Site

FORMATS = {"gemma_scope": gemma_scope, "saelens": saelens, "llama_scope": llama_scope, "sparsify": sparsify}


def load_sae(directory: Path, *, site: Site | None = None, fold: bool = True) -> SAE:
    """The autoencoder in a local directory of Gemma Scope, SAELens, Llama Scope or sparsify, float32.

    Args:
      site: where it is to be used; None: where its files say, if they do (`meta` holds `site` then).
      fold: give the decoder rows norm one, as `fold_decoder_norm` does.

    Raises:
      InputError: no such format; a file that is damaged, lacks a key, holds one transposed or not finite; settings that would
        compute something else; a transcoder; another site than `site`.
    """
    name = _format(directory)
    sae = FORMATS[name].read(directory)
    if site is not None:
        _check_site(directory, sae, site)
    facts = sae.facts | ({"site": str(site)} if site else {})
    facts |= {"format": name, "id": _identity(directory, FORMATS[name].FILES)}
    sae = replace(sae, meta=tuple(sorted(facts.items())))
    return fold_decoder_norm(sae) if fold else sae


def _identity(directory: Path, files: tuple[str, ...]) -> str:
    """Of settings and weights: another k makes another autoencoder of the same weights."""
    digests = "".join(sha256(directory / file) for file in files)
    return f"sha256:{hashlib.sha256(digests.encode()).hexdigest()}"


def _check_site(directory: Path, sae: SAE, site: Site) -> None:
    """Raise `InputError` if the files say another site, or no site but another layer."""
    said, layer = sae.facts.get("site"), sae.facts.get("layer", site.layer)
    if said not in (None, str(site)) or layer != site.layer:
        raise InputError(f"{directory}: belongs to {said or f'layer {layer}'}, not to {site}; give the autoencoder of that site")


def _format(directory: Path) -> str:
    """The format whose files are all there."""
    if not directory.is_dir():
        there = "a file" if directory.exists() else "nothing"
        raise InputError(f"{directory}: expected the directory of an autoencoder, found {there}")
    found = [name for name, module in FORMATS.items() if all((directory / file).exists() for file in module.FILES)]
    if len(found) != 1:
        wanted = "; ".join(f"{name}: {' and '.join(module.FILES)}" for name, module in FORMATS.items())
        raise InputError(f"{directory}: holds {'the files of ' + ' and '.join(found) if found else 'no autoencoder'}; "
                         f"expected those of one format ({wanted})")
    return found[0]
