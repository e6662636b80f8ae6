"""What the authors' own packages make of a directory: sparsify of its own, SAELens of the three others."""

import warnings
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

Computed = tuple[np.ndarray, np.ndarray]  # activations, reconstruction


def saelens(folder: Path, x: np.ndarray, *, fold: bool = False) -> Computed:
    """`SAE.load_from_disk`."""
    with warnings.catch_warnings(action="ignore"):
        from sae_lens import SAE

        return _computed(SAE.load_from_disk(folder, fold_W_dec_norm=fold), x)


def gemma_scope(folder: Path, x: np.ndarray, *, fold: bool = False) -> Computed:
    """SAELens's converter, given the file instead of a download; it takes sizes from names, so they are overridden."""
    from sae_lens.loading.pretrained_sae_loaders import gemma_2_sae_huggingface_loader as read

    with np.load(folder / "params.npz") as arrays:
        n, d = arrays["W_dec"].shape
    return _from_the_hub(read, folder, "gemma-scope-2b-pt-res", x, {"d_in": d, "d_sae": n}, fold=fold)


def llama_scope(folder: Path, x: np.ndarray, *, fold: bool = False) -> Computed:
    """SAELens's converter, then its way of putting the scale into the weights."""
    import json

    from sae_lens.loading.pretrained_sae_loaders import llama_scope_sae_huggingface_loader as read

    hyper = json.loads((folder / "hyperparams.json").read_text())
    scale = hyper["d_model"] ** 0.5 / hyper["dataset_average_activation_norm"]["in"]
    return _from_the_hub(read, folder, "Llama3_1-8B-Base-LXR-8x", x, {}, fold=fold, scale=scale)


def sparsify(folder: Path, x: np.ndarray) -> Computed:
    """`SparseCoder.load_from_disk`."""
    from sparsify import SparseCoder

    coder = SparseCoder.load_from_disk(folder)
    with torch.no_grad():
        top, index, pre = coder.encode(torch.from_numpy(x))
        a = torch.zeros_like(pre).scatter_(-1, index, top)
        return a.numpy(), coder.decode(top, index).numpy()


def _from_the_hub(read, folder: Path, repo: str, x: np.ndarray, sizes: dict[str, int], *, fold: bool, scale: float = 1) -> Computed:
    def local(repo_id: str, filename: str, subfolder: str = "", **_: object) -> str:
        return str(folder.joinpath(*Path(subfolder, filename).parts[1:]))

    with warnings.catch_warnings(action="ignore"):
        from sae_lens import SAE
        from sae_lens.loading import pretrained_sae_loaders as loaders

        with patch.object(loaders, "hf_hub_download", local):
            settings, state, _ = read(repo, "layer_5", "cpu", False, {"dtype": "float32", **sizes})
        settings = loaders.handle_config_defaulting(settings)
        sae = SAE.from_dict({**settings, "device": "cpu"})
        sae.load_state_dict(state)
        if scale != 1:
            sae.fold_activation_norm_scaling_factor(scale)
        if fold:
            sae.fold_W_dec_norm()
        return _computed(sae, x)


def _computed(sae, x: np.ndarray) -> Computed:
    with torch.no_grad():
        a = sae.encode(torch.from_numpy(x))
        return a.numpy(), sae.decode(a).numpy()


COMPUTED_BY = {"gemma_scope": gemma_scope, "llama_scope": llama_scope, "sparsify": sparsify}  # the others: saelens
