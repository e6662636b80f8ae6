"""A PEFT LoRA directory as an update of its base model: read strictly, added to the base leaf by leaf, in float32."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxtrunc.adapters.peft_format import CONFIG_FILE, WEIGHTS_FILE, factor_key, parse_key, rank_and_scale
from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.core.limits import Exceeded, limited
from jaxtrunc.core.safetensors import Checkpoint, listed, read_header
from jaxtrunc.models import ModelSource, hf_names, key_table

# What PEFT may write besides rank and scale without changing what is added to the base weights.
_HARMLESS = {
    "peft_type", "task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode",
    "target_modules", "exclude_modules", "lora_dropout", "layers_to_transform", "layers_pattern", "megatron_core",
    "qalora_group_size", "runtime_config", "ensure_weight_tying", "fan_in_fan_out", "eva_config",
}  # fmt: skip
_UNDERSTOOD = {"r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "bias", "init_lora_weights"}
MAX_SIZE = 1e9  # of a rank or alpha
PATTERN_SECONDS, PATTERN_BYTES = 5, 1 << 28  # (a+)+$ would take years
# Initialisations that leave the base model as it is; the others (PiSSA, OLoRA, LoftQ, …) subtract something from it.
_PURE_STARTS = (True, False, "gaussian", "orthogonal", "eva", None)


class Delta(NamedTuple):
    """The update of one matrix: `scale · B·A`, with A `(r, in)` and B `(out, r)`, both float32."""

    a: np.ndarray
    b: np.ndarray
    scale: float

    @property
    def kernel(self) -> np.ndarray:
        """The update in our layout, `(in, out)` float32."""
        return (np.float32(self.scale) * self.a.T) @ self.b.T


def adapter_deltas(directory: Path) -> dict[str, Delta]:
    """HF weight name → its update, for every matrix a PEFT LoRA adapter changes.

    Raises:
      InputError: not a LoRA adapter, one that does more than add B·A (DoRA, trained biases, whole saved modules, …), or
        a damaged file; names the file and what was found.
    """
    config = jsonio.read_json(directory / CONFIG_FILE)
    _check_config(directory / CONFIG_FILE, config)
    file = directory / WEIGHTS_FILE
    if not file.is_file():
        raise InputError(f"{file}: missing; save the adapter with safetensors (PEFT's save_pretrained does)")
    checkpoint = Checkpoint(directory, read_header(file))
    return {f"{module}.weight": _delta(file, checkpoint, config, module) for module in _modules(file, checkpoint)}


def leaves_with_adapter(source: ModelSource, directory: Path, leaves: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """The leaves of `source` with the adapter added in float32; leaves it does not touch are the source's own.

    Args:
      leaves: instead of those of `source`; they may hold the sum of another adapter.

    Raises:
      InputError: besides those of `adapter_deltas`, a matrix the model does not have or whose shape does not fit.
    """
    deltas = adapter_deltas(directory)
    leaves, names = leaves or source.leaves(), hf_names(source.cfg)
    matrices = {rule.path for rule in key_table(source.cfg) if rule.path.endswith("kernel")}
    known = {name: path for path in matrices for name in names[path]}
    strangers = [name for name in deltas if name not in known]
    if strangers:
        raise InputError(f"{directory / WEIGHTS_FILE}: {source.directory} has no matrix for {listed(strangers)}; give "
                         "the base model this adapter was trained on")
    _check_shapes(directory / WEIGHTS_FILE, deltas, {name: leaves[path].shape[-2:] for name, path in known.items()})
    touched = {known[name] for name in deltas}
    return {path: AdaptedLeaf(leaf, tuple(deltas.get(name) for name in names[path])) if path in touched else leaf
            for path, leaf in leaves.items()}


@dataclass(frozen=True)
class AdaptedLeaf:
    """A leaf of the base model with the update of each of its layers (None: unchanged) added when it is read."""

    base: Any
    deltas: tuple[Delta | None, ...]
    dtype = np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        """The base leaf's shape, layers stacked."""
        return self.base.shape

    def __len__(self) -> int:
        return len(self.base)

    @property
    def stacked(self) -> bool:
        """Whether the leaf has a layer axis that its tensors have not."""
        return self.base.stacked

    def __getitem__(self, layer: int) -> np.ndarray:
        return self.part(layer, ())

    def part(self, layer: int, index: tuple[slice, ...]) -> np.ndarray:
        """The slice `index` of `leaf[layer]`; of the base nothing else is read."""
        weight, delta = np.asarray(self.base.part(layer, index), np.float32), self.deltas[layer]
        return weight if delta is None else weight + delta.kernel[index]

    def release(self, layer: int) -> None:
        """Drop the memory pages of a layer that has been used."""
        self.base.release(layer)


def _check_config(file: Path, config: Any) -> None:
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        found = config.get("peft_type") if isinstance(config, dict) else type(config).__name__
        raise InputError(f"{file}: expected a PEFT adapter of type LORA, found {found}; merge it into a model "
                         "directory with PEFT first")
    refused = [f"{key}: {value!r}" for key, value in config.items() if key not in _HARMLESS | _UNDERSTOOD and value]
    if config.get("bias", "none") != "none":
        refused.append(f"bias: {config['bias']!r}")
    if config.get("init_lora_weights") not in _PURE_STARTS:
        refused.append(f"init_lora_weights: {config['init_lora_weights']!r}")
    if refused:
        raise InputError(f"{file}: only plain LoRA is read here, found {listed(refused)}; merge the adapter into a "
                         "model directory with PEFT (merge_and_unload) and give that")
    for key in ("r", "lora_alpha"):
        if not _is_size(config.get(key)):
            raise InputError(f"{file}: {key} must be a number above 0, found {shown(config.get(key))}")
    for key in ("rank_pattern", "alpha_pattern"):
        _check_patterns(file, key, config.get(key) or {})


def _check_patterns(file: Path, key: str, patterns: Any) -> None:
    try:
        for pattern, value in patterns.items():
            re.compile(pattern)
            if not _is_size(value):
                raise ValueError(f"{pattern}: {shown(value)}")
    except (AttributeError, TypeError, ValueError, OverflowError, RecursionError, re.error) as error:
        raise InputError(f"{file}: {key} must map patterns of module names to numbers above 0 ({error})") from None


def _is_size(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < MAX_SIZE


def _modules(file: Path, checkpoint: Checkpoint) -> list[str]:
    """Names of the adapted modules, each with both factors; anything else in the file is refused."""
    parsed = {key: parse_key(key) for key in checkpoint.tensors}
    strange = [f"'{key}'" for key, parts in parsed.items() if parts is None]
    if strange:
        raise InputError(f"{file}: {listed(strange)} is no LoRA factor of a linear layer; only plain LoRA is read here")
    sides = {side: {parts[0] for parts in parsed.values() if parts and parts[1] == side} for side in "AB"}
    alone = sorted(sides["A"] ^ sides["B"])
    if alone:
        raise InputError(f"{file}: {listed(alone)} has only one of lora_A and lora_B; the file is incomplete")
    if not sides["A"]:
        raise InputError(f"{file}: holds no LoRA factors")
    return sorted(sides["A"])


def _delta(file: Path, checkpoint: Checkpoint, config: dict[str, Any], module: str) -> Delta:
    a, b = (_factor(file, checkpoint, factor_key(module, side)) for side in "AB")
    try:
        with limited(PATTERN_SECONDS, PATTERN_BYTES):
            rank, scale = rank_and_scale(config, module)
    except Exceeded as error:
        raise InputError(f"{file.with_name(CONFIG_FILE)}: a pattern is too slow to match {module}: {error}") from None
    if a.ndim != 2 or b.ndim != 2 or not a.shape[0] == b.shape[1] == rank:
        raise InputError(f"{file}: {module} has factors of shapes {a.shape} and {b.shape}; {CONFIG_FILE} says rank "
                         f"{rank}, so ({rank}, in) and (out, {rank}) were expected")
    return Delta(a, b, scale)


def _factor(file: Path, checkpoint: Checkpoint, key: str) -> np.ndarray:
    factor = checkpoint.read(key).astype(np.float32)
    if not np.isfinite(factor).all():
        raise InputError(f"{file}: '{key}' holds NaN or infinity")
    return factor


def _check_shapes(file: Path, deltas: Mapping[str, Delta], kernels: Mapping[str, tuple[int, ...]]) -> None:
    for name, delta in deltas.items():
        expected, found = kernels[name], (delta.a.shape[1], delta.b.shape[0])
        if expected != found:
            raise InputError(f"{file}: {name} maps {found[0]} to {found[1]} features, the base model's {expected[0]} "
                             f"to {expected[1]}; give the base model this adapter was trained on")
