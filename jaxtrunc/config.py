"""The schema of a run config: frozen dataclasses. YAML files in configs/ hold the values, the command line overrides."""

import contextlib
import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from jaxtrunc.core.errors import InputError, refuse_unknown_keys, shown
from jaxtrunc.core.yamlio import parse_yaml, read_yaml
from jaxtrunc.train.settings import LoraSettings, TrainSettings

Schema = TypeVar("Schema")
WANTED = {tuple: "a list", dict: "a mapping", str: "text", int: "a whole number", float: "a number", bool: "true or false"}
Operators = ("top_k", "bottom_k", "drop_top_k", "random_k", "interpolate")


@dataclasses.dataclass(frozen=True)
class DecomposeSettings:
    """Which matrices are decomposed, and how.

    Attributes:
      include: regexes searched in the Hugging Face tensor name; default: attention and MLP linears.
      exclude: regexes; a tensor that matches one is left out.
      backend: gram64 (float64 Gram on the host), host, device, randomized or gram32 (leading components only);
        null chooses gram64 on CPU and device elsewhere.
      leading: only so many components of each matrix, the largest; serves top_k up to that rank. null: all.
      eigensolver: with the backend device, where eigenvectors of Gram matrices are found; null: where it is measured to be faster.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    backend: typing.Literal["gram64", "host", "device", "randomized", "gram32"] | None = None
    leading: int | None = None
    eigensolver: typing.Literal["device", "host"] | None = None


@dataclasses.dataclass(frozen=True)
class SweepSettings:
    """Which levels are evaluated, and on what.

    Attributes:
      operators: names from the registry (`jaxtrunc sweep --help` lists them).
      ranks: components kept per matrix; null: 0, 1, 2, 4, … and full.
      fractions: shares of each matrix's rank, beside or instead of ranks.
      alphas: points of the interpolation W_base + α ΔW.
      seeds: one draw of the random operators per seed; five give an interval, a verdict asks for ten.
      match_norm: add bottom_k, drop_top_k, random_k and interpolate once more, each matrix rescaled to the norm of top_k.
      residual: whose value the tensors outside the selection take, ft or base.
      tolerance_pp: loss of accuracy, in points, that the choice of k allows; the verdict always asks for less than 2.
      split: the split that is reported; the validation split, if there is one, is always scored too, to choose k.
      limit: evaluate a seeded sample of this many rows, stratified by label and attributes (validation: label alone).
      batch_size: prompts per forward pass.
      dtype: of the operands of matrix products, at all levels; bfloat16 is faster and rounds the weights.
      exact_every: rebuild each n-th level from all its components at once and record how far the running sum was off.
      log_samples: write one file of prompts and scores per record.
    """

    operators: tuple[str, ...] = Operators
    ranks: tuple[int, ...] | None = None
    fractions: tuple[float, ...] = ()
    alphas: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    match_norm: bool = False
    residual: typing.Literal["ft", "base"] = "ft"
    tolerance_pp: float = 2.0
    split: str = "test"
    limit: int | None = None
    batch_size: int = 32
    dtype: typing.Literal["float32", "bfloat16"] = "float32"
    exact_every: int | None = None
    log_samples: bool = False


@dataclasses.dataclass(frozen=True)
class MeshSettings:
    """Sizes of the compute mesh; their product is the number of devices.

    Attributes:
      data: parts of the batch; null: what the other two leave of the devices.
      fsdp: parts of the weights and of the batch.
      tensor: parts of each layer.
    """

    data: int | None = None
    fsdp: int = 1
    tensor: int = 1


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything `jaxtrunc run` needs; paths are relative to the config file.

    Attributes:
      name: the run's name; the default output directory is runs/NAME.
      base_model: REF of the base model.
      model: REF of the fine-tuned model; null: fine-tune the base model here.
      task: path of a task file, the name of a built-in or plug-in benchmark, or the task itself as a mapping.
      train: of fine-tuning, and of LoRA with another learning rate (keys in `jaxtrunc/train/settings.py`).
      lora: the control of matched rank, {ranks, learning_rates, search_rank, learning_rate}; without ranks there is none.
    """

    name: str
    base_model: str
    task: str | dict
    model: str | None = None
    train: TrainSettings = dataclasses.field(default_factory=TrainSettings)
    decompose: DecomposeSettings = dataclasses.field(default_factory=DecomposeSettings)
    sweep: SweepSettings = dataclasses.field(default_factory=SweepSettings)
    lora: LoraSettings = dataclasses.field(default_factory=LoraSettings)
    mesh: MeshSettings = dataclasses.field(default_factory=MeshSettings)
    out_path: str | None = None


@dataclasses.dataclass(frozen=True)
class FinetuneConfig:
    """What `jaxtrunc finetune` takes as section.key=value."""

    train: TrainSettings = dataclasses.field(default_factory=TrainSettings)
    mesh: MeshSettings = dataclasses.field(default_factory=MeshSettings)


def read_config(path: Path, overrides: tuple[str, ...] = (), schema: type[Schema] = RunConfig) -> Schema:
    """Read a YAML config file, apply `section.key=value` overrides, check every key and type.

    Raises:
      InputError: no such file, not YAML, an unknown key (the nearest known one is named) or a value of another type.
    """
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a mapping of keys, found {type(values).__name__}")
    config = from_mapping(schema, override(values, overrides), str(path))
    _check_name(path, config)
    return config


def _check_name(path: Path, config: Any) -> None:
    """A run without an output directory is written to runs/NAME: the name must not lead elsewhere."""
    if Path(config.name).name != config.name or config.name in ("", "..") or "\0" in config.name:
        raise InputError(f"{path}: name: expected a plain name, found {shown(config.name)}; say where to write with out_path")


def override(values: Mapping[str, Any], assignments: tuple[str, ...]) -> dict[str, Any]:
    """`values` with every `section.key=value` applied; the value is read as YAML."""
    result = dict(values)
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise InputError(f"'{assignment}': an override is written section.key=value")
        *sections, key = name.split(".")
        place = result
        for section in sections:
            inner = place.get(section) or {}
            if not isinstance(inner, Mapping):
                raise InputError(f"'{assignment}': {section} is no section, it is {shown(inner)}")
            place[section] = dict(inner)
            place = place[section]
        place[key] = parse_yaml(text, f"'{assignment}'")
    return result


def from_mapping(schema: type[Schema], values: Mapping[str, Any], where: str) -> Schema:
    """A dataclass from plain values, nested dataclasses included; `InputError` names file, key, expected and found."""
    hints = typing.get_type_hints(schema)
    fields = {field.name: field for field in dataclasses.fields(schema)}  # type: ignore[arg-type]
    refuse_unknown_keys(values, fields, where)
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise InputError(f"{where}: the key '{name}' is missing")
    return schema(**{name: _convert(hints[name], value, f"{where}: {name}") for name, value in values.items()})


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the annotated type, or `InputError`; whole numbers serve as floats, lists as tuples."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _convert_union(arguments, value, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise InputError(f"{where}: expected one of {', '.join(map(str, arguments))}, found {shown(value)}")
        return value
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_convert(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return from_mapping(hint, value, where)
    return _plain(hint, value, where)


def _convert_union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    problems = []
    for argument in arguments:
        if argument is not type(None):
            try:
                return _convert(argument, value, where)
            except InputError as error:
                problems.append(error)
    raise problems[0]


def _plain(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 2e-5 as a string
        with contextlib.suppress(ValueError):
            value = float(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    kind = typing.get_origin(hint) or hint
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)) and _is_sensible(value):
        return value
    raise InputError(f"{where}: expected {WANTED.get(kind, getattr(kind, '__name__', kind))}, found {shown(value)}")


def _is_sensible(value: Any) -> bool:
    """Neither NaN nor infinite, and no whole number beyond 64 bits."""
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or -(2**63) <= value < 2**63
