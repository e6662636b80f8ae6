"""The models of a merge, opened side by side and found to be of one kind, without reading a weight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.core.jsonio import read_json
from jaxtrunc.merge import Inputs, Slot
from jaxtrunc.models import DecoderConfig, hf_names, key_table, leaf_class
from jaxtrunc.recipes.merge_config import MergeConfig
from jaxtrunc.recipes.pair import Side, open_side

TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class Models:
    """The base, if there is one, and what is merged; all have the same tensors."""

    base: Side | None
    sides: tuple[Side, ...]

    @property
    def first(self) -> Side:
        """Whose config and tokenizer the result gets: the base, else the first model."""
        return self.base or self.sides[0]

    @property
    def dtype(self) -> str:
        """In which its kernels are stored."""
        leaves = self.first.source.leaves()
        return str(max((leaf.dtype for path, leaf in leaves.items() if path.endswith("kernel")), key=lambda dtype: dtype.itemsize))

    @property
    def warnings(self) -> list[str]:
        """Where a model computes in another way with its weights than the result will."""
        return [f"{side.ref}: config.json differs from that of {self.first.ref}, which the result gets, in {', '.join(names)}"
                for side in self.sides if (names := _differing(self.first.source.cfg, side.source.cfg))]

    def slots(self) -> list[Slot]:
        """Every tensor, in the order of the file."""
        cfg, leaves = self.first.source.cfg, self.first.leaves
        found = []
        for rule in key_table(cfg):
            shape = tuple(leaves[rule.path].shape[1:] if rule.stacked else leaves[rule.path].shape)
            linear = leaf_class(cfg, rule.path) == "linear"
            found += [Slot(name, rule.path, layer, rule.transpose, shape, linear and len(shape) == 2)
                      for layer, name in enumerate(hf_names(cfg)[rule.path])]
        return found

    def opened(self, slot: Slot) -> Inputs:
        """That tensor of every model."""
        base = None if self.base is None else self.base.leaves[slot.path]
        return Inputs(slot, base, [side.leaves[slot.path] for side in self.sides])


def open_models(config: MergeConfig) -> Models:
    """Open all and compare them.

    Raises:
      InputError: no base where the method needs one, different vocabularies, missing, extra or misshapen tensors.
    """
    if config.base_model is None and config.settings.how.name != "linear":
        raise InputError(f"base_model: {config.settings.how.name} needs the model that all were tuned from; give it in the file or "
                         "with --base-model (only linear does without)")
    base = None if config.base_model is None else open_side(config.base_model)
    models = Models(base, tuple(open_side(ref) for ref in config.models))
    for side in models.sides:
        if side is not models.first:
            _check_vocabulary(models.first, side)
            _check_leaves(models.first, side)
    return models


def _differing(ours: DecoderConfig, theirs: DecoderConfig) -> list[str]:
    return [field.name for field in fields(ours) if getattr(ours, field.name) != getattr(theirs, field.name)]


def _check_vocabulary(first: Side, other: Side) -> None:
    sizes = [side.source.cfg.vocab_size for side in (first, other)]
    if sizes[0] != sizes[1]:
        raise InputError(f"{other.ref}: a vocabulary of {sizes[1]} tokens, {first.ref} has {sizes[0]}; only models of one "
                         "vocabulary can be merged")
    files = [side.source.directory / TOKENIZER for side in (first, other)]
    if not all(file.is_file() for file in files) or files[0].read_bytes() == files[1].read_bytes():
        return
    ours, theirs = (_tokens(file) for file in files)
    different = sorted(token for token in ours.keys() | theirs.keys() if ours.get(token) != theirs.get(token))
    if different:
        raise InputError(f"{files[1]}: another vocabulary than {files[0]}, such as the token {shown(different[0])}; "
                         "only models of one vocabulary can be merged")


def _tokens(file: Path) -> dict[str, Any]:
    """Token → id of a tokenizer.json, or piece → place; added tokens, which fine-tuning may bring, are left out."""
    model = read_json(file).get("model") or {}
    vocabulary = model.get("vocab") or {}
    if isinstance(vocabulary, Mapping):
        return dict(vocabulary)
    return {str(entry[0]): place for place, entry in enumerate(vocabulary) if isinstance(entry, Sequence) and entry}


def _check_leaves(first: Side, other: Side) -> None:
    names = hf_names(other.source.cfg) | hf_names(first.source.cfg)
    for path in sorted(first.leaves.keys() | other.leaves.keys()):
        if path not in first.leaves or path not in other.leaves:
            has, lacks = (first, other) if path in first.leaves else (other, first)
            raise InputError(f"{names[path][0]}: {has.ref} has this tensor, {lacks.ref} does not; give models tuned from one base")
        ours, theirs = first.leaves[path].shape, other.leaves[path].shape
        if ours != theirs:
            raise InputError(f"{names[path][0]}: shape {theirs} in {other.ref}, {ours} in {first.ref} (layers, in, out); give "
                             "models tuned from one base")
