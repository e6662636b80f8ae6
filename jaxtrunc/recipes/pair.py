"""The base model and its fine-tuned twin, opened side by side without reading a weight."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtrunc.adapters.load import leaves_with_adapter
from jaxtrunc.adapters.peft_format import CONFIG_FILE
from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.core.rundir import MANIFEST, RunDir, relative_to_run
from jaxtrunc.models import DecoderConfig, ModelSource, hf_names, open_model, resolve_ref


@dataclass(frozen=True)
class Side:
    """One model: where it came from, and its leaves `{path: lazy stacked array}`."""

    ref: str
    source: ModelSource
    leaves: Mapping[str, Any]


@dataclass(frozen=True)
class Pair:
    """Two models with the same leaves and shapes."""

    base: Side
    ft: Side

    @property
    def cfg(self) -> DecoderConfig:
        """The architecture, which both share."""
        return self.base.source.cfg

    @property
    def names(self) -> dict[str, list[str]]:
        """Hugging Face tensor names of every leaf, one per layer."""
        return hf_names(self.cfg)


def open_side(ref: str) -> Side:
    """Open `REF` or `REF+ADAPTER`; a string that as a whole names a directory is taken whole."""
    if "+" in ref and not Path(ref).is_dir():
        base, adapter = ref.rsplit("+", 1)
        source = open_model(resolve_ref(base))
        return Side(ref, source, leaves_with_adapter(source, resolve_ref(adapter, CONFIG_FILE)))
    source = open_model(resolve_ref(ref))
    return Side(ref, source, source.leaves())


def open_pair(base_ref: str, model_ref: str) -> Pair:
    """Open both and compare them leaf by leaf.

    Raises:
      InputError: a tensor that only one has, or that has another shape in the other; names it and both shapes.
    """
    pair = Pair(open_side(base_ref), open_side(model_ref))
    base, ft = pair.base.leaves, pair.ft.leaves
    names = hf_names(pair.ft.source.cfg) | pair.names
    for path in sorted(base.keys() | ft.keys()):
        if path not in base or path not in ft:
            has, lacks = (base_ref, model_ref) if path in base else (model_ref, base_ref)
            raise InputError(f"{names[path][0]}: {has} has this tensor, {lacks} does not; give a base and a model tuned from it")
        if base[path].shape != ft[path].shape:
            raise InputError(f"{names[path][0]} ({path}): shape {base[path].shape} in {base_ref}, {ft[path].shape} in "
                             f"{model_ref} (layers, in, out); give a base and a model tuned from it")
    return pair


def located(ref: str, directory: Path) -> str:
    """A REF of a config file: a directory beside the file if there is one, else as it is (a path or a hub name)."""
    return str(directory / ref) if (directory / ref).is_dir() else ref


def remember_pair(run: RunDir, pair: Pair) -> dict[str, str]:
    """The two references as a manifest keeps them: relative if they lie in the run, absolute or hub names else."""
    return {"base_model": _portable(run, pair.base.ref), "model": _portable(run, pair.ft.ref)}


def recall_pair(run: RunDir) -> Pair:
    """Open the pair that the run's decomposition was made from."""
    facts = run.manifest["verbs"].get("decompose", {})
    refs = [facts.get(side) for side in ("base_model", "model")]
    if not all(isinstance(ref, str) for ref in refs):
        raise InputError(f"{run / MANIFEST}: does not say which base_model and model were decomposed; it is damaged")
    return open_pair(*(_located(run, ref) for ref in refs))


def _portable(run: RunDir, ref: str) -> str:
    if Path(ref).is_dir():
        inside = relative_to_run(run.path, Path(ref))
        return inside if Path(inside).is_absolute() else f"./{inside}"
    if "+" in ref:
        return "+".join(_portable(run, part) for part in ref.rsplit("+", 1))
    return ref


def _located(run: RunDir, ref: str) -> str:
    """The inverse of `_portable`; `./` begins what lies in the run."""
    if not ref.startswith("./"):
        return ref
    if ".." in Path(ref).parts:
        raise InputError(f"{run / MANIFEST}: names the model {shown(ref)}, which lies outside the run")
    return str(run.path / ref)
