"""Low-rank updates as a PEFT LoRA adapter that loads without a warning and adds exactly scale·B·A to each base matrix."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxtrunc.adapters.peft_format import CONFIG_FILE, WEIGHTS_FILE, factor_key
from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.files import new_directory

Factors = tuple[np.ndarray, np.ndarray]
_LINEAR = re.compile(r"(?P<module>.+\.(self_attn|attn|attention|mlp)\.(?!\w*norm)\w+)\.weight")


def write_adapter(directory: Path, factors: Mapping[str, Factors], *, base_ref: str, title: str, notes: str,
                  scale: float = 1) -> None:
    """Write `adapter_config.json`, `adapter_model.safetensors` and a model card, whole or not at all.

    Every matrix has alpha = scale · rank, which PEFT divides by the rank again; matrices of rank 0 are left out.

    Args:
      directory: must not exist, or be empty.
      factors: HF weight name → (A `(r, in)`, B `(out, r)`), the update being scale·B·A in the layout `(out, in)`.
      base_ref: the base model, as PEFT will look for it.
      title: heading of the model card.
      notes: body of the model card (Markdown): where the update comes from and what was left out.

    Raises:
      InputError: the directory is taken, a weight is neither attention nor MLP linear, factors do not fit each other,
        or no matrix has a rank above 0.
    """
    modules = {_module(name): _checked(name, *pair) for name, pair in factors.items()}
    modules = {module: pair for module, pair in modules.items() if len(pair[0])}
    if not modules:
        raise InputError(f"{directory}: every matrix has rank 0, which is the base model; choose a larger --rank")
    with new_directory(directory) as staged:
        _write_weights(staged / WEIGHTS_FILE, modules)
        ranks = {module: len(a) for module, (a, _) in modules.items()}
        jsonio.write_json(staged / CONFIG_FILE, _config(ranks, base_ref, scale))
        jsonio.write_text(staged / "README.md", _card(base_ref, title, notes, scale))
        for file in staged.iterdir():
            file.chmod(0o644)  # servers often run as another user


def _module(name: str) -> str:
    match = _LINEAR.fullmatch(name)
    if match is None:
        raise InputError(f"{name}: a PEFT export holds attention and MLP matrices only; export with --format hf, or "
                         "leave it out of the decomposition with --exclude")
    return match["module"]


def _checked(name: str, a: np.ndarray, b: np.ndarray) -> Factors:
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1]:
        raise InputError(f"{name}: factors of shapes {a.shape} and {b.shape} are no (r, in) and (out, r) of one rank")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError(f"{name}: the factors hold NaN or infinity")
    return a, b


def _write_weights(file: Path, modules: Mapping[str, Factors]) -> None:
    from safetensors.numpy import save_file

    tensors = {factor_key(module, side): np.ascontiguousarray(factor, np.float32)
               for module, pair in modules.items() for side, factor in zip("AB", pair, strict=True)}
    save_file(tensors, file, metadata={"format": "pt"})


def _config(ranks: Mapping[str, int], base_ref: str, scale: float) -> dict:
    """The adapter's config; patterns and targets are whole module names, so none of them matches a second module."""
    largest = max(ranks.values())
    smaller = {module: rank for module, rank in sorted(ranks.items()) if rank < largest}
    return {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base_ref, "inference_mode": True,
        "r": largest, "lora_alpha": scale * largest, "rank_pattern": smaller,
        "alpha_pattern": {module: scale * rank for module, rank in smaller.items()},
        "target_modules": sorted(ranks), "lora_dropout": 0.0, "bias": "none", "fan_in_fan_out": False,
        "use_rslora": False, "use_dora": False, "init_lora_weights": True, "modules_to_save": None,
    }


def _card(base_ref: str, title: str, notes: str, scale: float) -> str:
    times = "" if scale == 1 else f"{scale:g}·"
    return f"""---
base_model: {jsonio.dumps(base_ref)}
library_name: peft
tags: [lora, jaxtrunc]
---

# {title}

A LoRA adapter for `{base_ref}`. It adds {times}B·A to each of its matrices.

{notes.strip()}

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM

model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained({base_ref!r}), "this directory")
```
"""
