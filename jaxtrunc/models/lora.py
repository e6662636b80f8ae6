"""Low-rank factors in a parameter tree: leaves `lora_a` (L, in, r) and `lora_b` (L, r, out) beside a `kernel` (Hu et al. 2021).

A tree without them gives the plain model. The factor alpha/r is part of `lora_b` here. arXiv 2106.09685.
"""

from functools import reduce
from typing import Any

from flax import nnx

from jaxtrunc.core.trees import Params, flatten, unflatten

SIDES = ("lora_a", "lora_b")


def factor_path(kernel: str, side: str) -> str:
    """Path of one factor of the kernel `…/kernel`; `side` is lora_a or lora_b."""
    return f"{kernel.rpartition('/')[0]}/{side}"


def split_factors(params: Params) -> tuple[Params, dict[str, Any]]:
    """The tree without factors, and `{path: factor}`."""
    flat = flatten(params)
    factors = {path: leaf for path, leaf in flat.items() if path.rpartition("/")[2] in SIDES}
    return (unflatten({path: leaf for path, leaf in flat.items() if path not in factors}), factors) if factors else (params, {})


def attach(model: nnx.Module, factors: dict[str, Any]) -> Any:
    """Give the factors to the linears of a freshly merged model, which it changes and returns."""
    for path, factor in factors.items():
        *modules, side = path.split("/")
        setattr(reduce(getattr, modules, model), side, nnx.Param(factor))
    return model
