"""Autoencoders in the four formats as their authors write them, from the same arrays, and what they compute, in float64 NumPy."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

D, N, K, ROWS = 6, 20, 4, 7
NORM = 3.7  # mean norm of the activations in the Llama Scope file
THRESHOLD = 0.15  # there, before it is scaled
KINDS = ("standard", "topk", "jumprelu", "gated")
NAMES = {"w_enc": "W_enc", "w_dec": "W_dec"}  # SAELens's names where they are not ours
OWN = {"standard": ("b_enc",), "topk": ("b_enc",), "jumprelu": ("b_enc", "threshold"), "gated": ("b_gate", "b_mag", "r_mag")}


def random_arrays(seed: int = 0, d: int = D, n: int = N) -> dict[str, np.ndarray]:
    """Every array that any kind has, float32; decoder rows have norms from 0.5 to 2."""
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(n, d))
    arrays = {"w_enc": draw.normal(size=(d, n)) / d**0.5, "b_dec": draw.normal(size=d) * 0.3,
              "threshold": draw.uniform(0.1, 0.6, n),
              "w_dec": rows / np.linalg.norm(rows, axis=1, keepdims=True) * draw.uniform(0.5, 2, (n, 1))}
    arrays |= {name: draw.normal(size=n) * 0.2 for name in ("b_enc", "b_gate", "b_mag", "r_mag")}
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def activations(seed: int = 1, d: int = D) -> np.ndarray:
    """(ROWS, d) float32."""
    return np.random.default_rng(seed).normal(size=(ROWS, d)).astype(np.float32) * 1.5


def expected(arrays: dict[str, np.ndarray], x: np.ndarray, kind: str, *, k: int = K, scale: float = 1, subtract: bool = True,
             by_norm: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Activations and reconstruction, from the definitions, one after the other."""
    w = {name: array.astype(np.float64) for name, array in arrays.items()}
    x = scale * x.astype(np.float64) - (w["b_dec"] if subtract else 0)
    pre = x @ w["w_enc"] + w["b_enc"]
    if kind == "gated":
        magnitude = np.maximum(x @ (w["w_enc"] * np.exp(w["r_mag"])) + w["b_mag"], 0)
        a = (x @ w["w_enc"] + w["b_gate"] > 0) * magnitude
    elif kind == "jumprelu":
        a = np.maximum(pre, 0) * (pre > w["threshold"])
    elif kind == "topk":
        score = pre * np.linalg.norm(w["w_dec"], axis=1) if by_norm else pre
        a = np.zeros_like(pre)
        for row, order in enumerate(np.argsort(-score, axis=1, kind="stable")):
            a[row, order[:k]] = np.maximum(pre[row, order[:k]], 0)
    else:
        a = np.maximum(pre, 0)
    return a, (a @ w["w_dec"] + w["b_dec"]) / scale


def write_saelens(folder: Path, arrays: dict[str, np.ndarray], kind: str, **settings: object) -> Path:
    """The layout of version 6."""
    n, d = arrays["w_dec"].shape
    data = {"hook_name": "blocks.3.hook_resid_post", "model_name": "gemma-2-2b", "sae_lens_version": "6.22.0"}
    config = {"architecture": kind, "d_in": d, "d_sae": n, "dtype": "float32", "device": "cpu", "apply_b_dec_to_input": True,
              "normalize_activations": "none", "reshape_activations": "none", "metadata": data}
    if kind == "topk":
        config |= {"k": K, "rescale_acts_by_decoder_norm": False}
    return _write(folder, {"cfg.json": config | settings}, {"sae_weights.safetensors": saelens_tensors(arrays, kind)})


def saelens_tensors(arrays: dict[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """What such a file holds."""
    return {NAMES.get(name, name): arrays[name] for name in ("w_enc", "w_dec", "b_dec", *OWN[kind])}


def write_old_saelens(folder: Path, arrays: dict[str, np.ndarray], **settings: object) -> Path:
    """The flat settings of version 3, where topk is an activation function of the standard architecture."""
    n, d = arrays["w_dec"].shape
    config = {"architecture": "standard", "d_in": d, "d_sae": n, "dtype": "float32", "device": "cpu", "model_name": "gpt2-small",
              "hook_name": "blocks.4.hook_resid_pre", "hook_layer": 4, "hook_head_index": None, "activation_fn_str": "topk",
              "activation_fn_kwargs": {"k": K}, "apply_b_dec_to_input": True, "normalize_activations": "none",
              "finetuning_scaling_factor": False, "prepend_bos": True, "context_size": 128, "dataset_path": "text",
              "sae_lens_training_version": "3.11.0"}
    return _write(folder, {"cfg.json": config | settings}, {"sae_weights.safetensors": saelens_tensors(arrays, "topk")})


def write_gemma_scope(folder: Path, arrays: dict[str, np.ndarray], **renamed: str) -> Path:
    """`folder` is made part of the folders of the suite."""
    folder = folder / "gemma-scope-2b-pt-res" / "layer_5" / "width_16k" / "average_l0_68"
    folder.mkdir(parents=True)
    names = ("w_enc", "w_dec", "b_enc", "b_dec", "threshold")
    np.savez(folder / "params.npz", **{renamed.get(name, NAMES.get(name, name)): arrays[name] for name in names})
    return folder


def write_llama_scope(folder: Path, arrays: dict[str, np.ndarray], **settings: object) -> Path:
    """Matrices as torch.nn.Linear has them."""
    n, d = arrays["w_dec"].shape
    hyper = {"d_model": d, "d_sae": n, "hook_point_in": "blocks.8.hook_resid_post", "hook_point_out": "blocks.8.hook_resid_post",
             "act_fn": "jumprelu", "jump_relu_threshold": THRESHOLD, "norm_activation": "dataset-wise", "top_k": 50,
             "dataset_average_activation_norm": {"in": NORM, "out": NORM}, "apply_decoder_bias_to_pre_encoder": False,
             "use_decoder_bias": True, "use_glu_encoder": False}
    tensors = {"encoder.weight": arrays["w_enc"].T, "encoder.bias": arrays["b_enc"], "decoder.weight": arrays["w_dec"].T,
               "decoder.bias": arrays["b_dec"]}
    return _write(folder, {"hyperparams.json": hyper | settings}, {"checkpoints/final.safetensors": tensors})


def write_sparsify(folder: Path, arrays: dict[str, np.ndarray], **settings: object) -> Path:
    """`folder` gets one named after the module."""
    n, d = arrays["w_dec"].shape
    config = {"activation": "topk", "expansion_factor": 32, "normalize_decoder": True, "num_latents": n, "k": K,
              "multi_topk": False, "skip_connection": False, "transcode": False, "d_in": d}
    tensors = {"encoder.weight": arrays["w_enc"].T, "encoder.bias": arrays["b_enc"], "W_dec": arrays["w_dec"],
               "b_dec": arrays["b_dec"]}
    return _write(folder / "layers.2.mlp", {"cfg.json": config | settings}, {"sae.safetensors": tensors})


def llama_scope_scale(d: int = D) -> float:
    """What activations are multiplied by."""
    return d**0.5 / NORM


def llama_scope_arrays(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays with the threshold that the file states, scaled."""
    n, d = arrays["w_dec"].shape
    return arrays | {"threshold": np.full(n, THRESHOLD * llama_scope_scale(d), np.float32)}


def _write(folder: Path, settings: dict[str, dict], weights: dict[str, dict[str, np.ndarray]]) -> Path:
    for name, content in settings.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    for name, tensors in weights.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        save_file({key: np.ascontiguousarray(array) for key, array in tensors.items()}, folder / name)
    return folder


WRITERS: dict[str, Callable[[Path, dict[str, np.ndarray]], Path]] = {
    **{kind: partial(write_saelens, kind=kind) for kind in KINDS}, "old": write_old_saelens,
    "by_norm": partial(write_saelens, kind="topk", rescale_acts_by_decoder_norm=True),
    "raw_input": partial(write_saelens, kind="standard", apply_b_dec_to_input=False),
    "gemma_scope": write_gemma_scope, "llama_scope": write_llama_scope, "sparsify": write_sparsify}  # fmt: skip
