"""What a merge config says: the file that mergekit also reads, the flags over it, and the resolved whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtrunc.core.errors import InputError, refuse_unknown_keys, shown
from jaxtrunc.core.yamlio import read_yaml
from jaxtrunc.merge import ALIASES, METHODS, MergeSettings
from jaxtrunc.merge.settings import check, find_method, parse_rank, unused
from jaxtrunc.models.write import DTYPES
from jaxtrunc.recipes.pair import located

KEYS = ("merge_method", "base_model", "models", "parameters", "dtype", "out_dtype")
PARAMETERS = {"lambda": float, "normalize": bool, "rank": None, "sigma": str, "scope": str, "exclude": str, "seed": int}
OF_A_MODEL = ("weight", "density")
CHOICES = {"sigma": ("keep", "flat", "ones"), "scope": ("tensor", "global")}
Entry = tuple[str, dict[str, float]]
WANTED = {float: "a number", bool: "true or false", str: "text", int: "a whole number"}


@dataclass(frozen=True)
class MergeFlags:
    """What the command line says; None and empty: nothing."""

    method: str | None = None
    base_model: str | None = None
    models: tuple[str, ...] = ()
    weight: tuple[float, ...] = ()
    density: tuple[float, ...] = ()
    lam: float | None = None
    normalize: bool = False
    rank: str | None = None
    sigma: str | None = None
    scope: str | None = None
    exclude: str | None = None
    seed: int | None = None
    dtype: str | None = None


@dataclass(frozen=True)
class MergeConfig:
    """A merge as it will be done.

    Attributes:
      given: the parameters that somebody named, to warn of those without effect.
      base_listed: the base was named among the models with a weight; it is left out, since its task vector is zero.
      dtype: of the result; None: that of the base model.
    """

    base_model: str | None
    models: tuple[str, ...]
    settings: MergeSettings
    given: tuple[str, ...]
    dtype: str | None
    base_listed: bool = False

    @property
    def warnings(self) -> list[str]:
        """What was asked for and changes nothing."""
        found = [f"{key} has no effect with {self.settings.how.name}" for key in unused(self.settings, self.given)]
        return [*found, f"{self.base_model} is the base and no task: it is left out of the models"] if self.base_listed else found

    def resolved(self) -> dict[str, Any]:
        """The whole as a config file would say it."""
        settings, uses = self.settings, self.settings.how.uses
        models = [{"model": ref, "parameters": {"weight": weight} | ({"density": density} if "density" in uses else {})}
                  for ref, weight, density in zip(self.models, settings.weights, settings.densities, strict=True)]
        values = {"normalize": settings.normalized} | {key: getattr(settings, key) for key in ("rank", "sigma", "scope", "exclude",
                                                                                               "seed")}
        parameters = {key: value for key, value in values.items() if key in uses and value is not None}
        if settings.how.name != "linear":
            parameters = {"lambda": settings.lam} | parameters
        return {"merge_method": settings.how.name, **({"base_model": self.base_model} if self.base_model else {}), "models": models,
                "parameters": parameters, "dtype": "float32", **({"out_dtype": self.dtype} if self.dtype else {})}


def merge_config(file: Path | None, flags: MergeFlags) -> MergeConfig:
    """The config of a merge; a flag overrides the file.

    Raises:
      InputError: unknown keys, values of another kind, no method or no models, a number of weights that does not fit.
    """
    given = {} if file is None else _read(file)
    where, folder = str(file or "command line"), file.parent if file else Path()
    method = flags.method or given.get("merge_method")
    if not isinstance(method, str):
        found = "no merge_method" if method is None else f"merge_method: found {shown(method)}"
        raise InputError(f"{where}: {found}; expected one of {', '.join((*METHODS, *ALIASES))} (--method)")
    base = flags.base_model or (None if given.get("base_model") is None else located(_text(where, given, "base_model"), folder))
    entries = {ref: {"weight": 1.0} for ref in flags.models}
    if flags.models and len(entries) < len(flags.models):
        raise InputError("--models: a model is there twice; give it once, with the sum of its weights")
    listed = list(entries.items()) if flags.models else _models(where, folder, given)
    models = [(ref, values) for ref, values in listed if ref != base or find_method(method).name == "linear"]
    for number, (ref, values) in enumerate(listed, 1):
        if "weight" not in values and (ref, values) in models:
            raise InputError(f"{where}: models, entry {number}: {ref} has no weight; give 'parameters: {{weight: 1.0}}'")
    if not models:
        raise InputError(f"{where}: no models to merge; name them under 'models' or with --models")
    parameters = _parameters(where, given) | _flagged(flags)
    densities = [entry.get("density", 1.0) for _, entry in models]
    settings = MergeSettings(
        method, _spread("--weight", flags.weight, [entry["weight"] for _, entry in models]),
        _spread("--density", flags.density, densities),
        **{("lam" if key == "lambda" else key): value for key, value in parameters.items()})
    check(settings)
    named = [*parameters, *(["density"] if flags.density or any("density" in entry for _, entry in models) else [])]
    return MergeConfig(base, tuple(ref for ref, _ in models), settings, tuple(named), _dtype(where, flags, given),
                       any(ref == base and values for ref, values in listed) and len(models) < len(listed))


def _dtype(where: str, flags: MergeFlags, given: Mapping[str, Any]) -> str | None:
    """Of the result; each that is given must be one."""
    named = {"--dtype": flags.dtype, "out_dtype": given.get("out_dtype"), "dtype": given.get("dtype")}
    for key, dtype in named.items():
        if dtype is not None and not (isinstance(dtype, str) and dtype in DTYPES):
            raise InputError(f"{where}: {key}: expected one of {', '.join(DTYPES)}, found {shown(dtype)}")
    return next((dtype for dtype in named.values() if dtype is not None), None)


def _read(file: Path) -> dict[str, Any]:
    given = read_yaml(file)
    if not isinstance(given, dict):
        raise InputError(f"{file}: expected a mapping with merge_method and models, found {type(given).__name__}")
    refuse_unknown_keys(given, KEYS, str(file))
    return given


def _models(where: str, folder: Path, given: Mapping[str, Any]) -> list[Entry]:
    """(REF, its weight and density) of every model."""
    entries = [] if given.get("models") is None else given["models"]
    if not isinstance(entries, list):
        raise InputError(f"{where}: models: expected a list, found {type(entries).__name__}")
    found: list[Entry] = []
    for number, entry in enumerate(entries, 1):
        place = f"{where}: models, entry {number}"
        if not isinstance(entry, dict):
            raise InputError(f"{place}: expected a mapping with model and parameters, found {shown(entry)}")
        refuse_unknown_keys(entry, ("model", "parameters"), place)
        values = {} if entry.get("parameters") is None else entry["parameters"]
        found.append((located(_text(place, entry, "model"), folder), _numbers(place, values)))
    refs = [ref for ref, _ in found]
    if doubled := [ref for ref in refs if refs.count(ref) > 1]:
        raise InputError(f"{where}: models: {doubled[0]} is there twice; give it once, with the sum of its weights")
    return found


def _numbers(place: str, values: Any) -> dict[str, float]:
    if not isinstance(values, dict):
        raise InputError(f"{place}: parameters: expected a mapping, found {shown(values)}")
    refuse_unknown_keys(values, OF_A_MODEL, f"{place}: parameters")
    for key, value in values.items():
        if not _is(float, value):
            raise InputError(f"{place}: {key}: expected a number, found {shown(value)}")
    return {key: float(value) for key, value in values.items()}


def _parameters(where: str, given: Mapping[str, Any]) -> dict[str, Any]:
    values = {} if given.get("parameters") is None else given["parameters"]
    if not isinstance(values, dict):
        raise InputError(f"{where}: parameters: expected a mapping, found {shown(values)}")
    refuse_unknown_keys(values, PARAMETERS, f"{where}: parameters")
    for key, value in values.items():
        _check_parameter(f"{where}: parameters", key, value)
    return {key: float(value) if key == "lambda" else value for key, value in values.items()}


def _check_parameter(where: str, key: str, value: Any) -> None:
    kind = PARAMETERS[key]
    if key in CHOICES and value not in CHOICES[key]:
        raise InputError(f"{where}: {key}: expected {' or '.join(CHOICES[key])}, found {shown(value)}")
    if kind is None and not (value == "1/T" or _is(float, value)):
        raise InputError(f"{where}: {key}: expected a whole number, a share between 0 and 1, or 1/T, found {shown(value)}")
    if kind is not None and not _is(kind, value):
        raise InputError(f"{where}: {key}: expected {WANTED[kind]}, found {shown(value)}")


def _flagged(flags: MergeFlags) -> dict[str, Any]:
    """The parameters that the command line names."""
    values = {"lambda": flags.lam, "normalize": flags.normalize or None, "sigma": flags.sigma, "scope": flags.scope,
              "exclude": flags.exclude, "seed": flags.seed, "rank": None if flags.rank is None else parse_rank(flags.rank)}
    given = {key: value for key, value in values.items() if value is not None}
    for key in CHOICES.keys() & given.keys():
        _check_parameter("command line", key, given[key])
    return given


def _spread(flag: str, given: Sequence[float], values: Sequence[float]) -> tuple[float, ...]:
    """One for all, one each, or those of the file."""
    if len(given) not in (0, 1, len(values)):
        raise InputError(f"{flag}: expected one value, or one for each of {len(values)} models, found {len(given)}")
    return tuple(values) if not given else tuple(given) * (len(values) // len(given))


def _text(where: str, given: Mapping[str, Any], key: str) -> str:
    value = given.get(key)
    if not isinstance(value, str):
        raise InputError(f"{where}: {key}: expected a directory or a name on the Hub, found {shown(value)}")
    return value


def _is(kind: type, value: Any) -> bool:
    """Numbers are no booleans, and whole numbers are numbers."""
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    return isinstance(value, (int, float) if kind is float else kind)
