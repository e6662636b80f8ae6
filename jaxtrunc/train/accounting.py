"""How many parameters an adapter trains, from shapes alone."""

from functools import partial
from typing import Any

import jax

from jaxtrunc.core.trees import flatten
from jaxtrunc.models import DecoderConfig, abstract_params, factor_path
from jaxtrunc.train.lora import Adapter


def count_parameters(adapter: Adapter, cfg: DecoderConfig) -> dict[str, Any]:
    """Trainable and frozen parameters, in all and by matrix, with percentages; nothing is allocated.

    Returns:
      `base` (parameters of the model), `trainable` (Σ r(in + out), less the B that are frozen), `frozen` (those B),
      `percent_of_base` and `percent_of_total` of the trainable ones (total: with the adapter), and `modules`: weight name → its
      `trainable` and `frozen`, `percent_of_base`, `percent_of_total`. Constant parts that compensate a start are not counted.
    """
    base = sum(leaf.size for leaf in flatten(abstract_params(cfg)).values())
    trained, fixed = adapter.split(jax.eval_shape(partial(adapter.start, mesh=None), 0))
    counts = {}
    for target in adapter.targets:
        paths = [factor_path(target.path, side) for side in ("lora_a", "lora_b")]
        each = [sum(leaves[path].size for path in paths if path in leaves) // len(target.layers) for leaves in (trained, fixed)]
        counts |= dict.fromkeys(target.names, each)
    trainable, frozen = (sum(sizes) for sizes in zip(*counts.values(), strict=True))
    total = base + trainable + frozen
    modules = {name: _shares(each[0], each[1], base, total) for name, each in sorted(counts.items())}
    return {"base": base, **_shares(trainable, frozen, base, total), "modules": modules}


def _shares(trainable: int, frozen: int, base: int, total: int) -> dict[str, float]:
    return {"trainable": trainable, "frozen": frozen, "percent_of_base": 100 * trainable / base,
            "percent_of_total": 100 * trainable / total}
