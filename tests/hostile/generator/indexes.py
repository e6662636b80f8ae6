"""model.safetensors.index.json and the shards it names."""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

from safetensors.numpy import load_file, save_file

from generator.case import DECOMPOSE, FINETUNE, INDEX, WEIGHTS, Case, Place, pipe, sparse

ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


def _shards(change: Callable[[Place, dict[str, str]], Any]):
    """A sound model of two shards whose folder and weight map are then changed."""

    def spoil(place: Place) -> None:
        tensors = load_file(place.model / WEIGHTS)
        (place.model / WEIGHTS).unlink()
        names = {name: ONE if number % 2 else TWO for number, name in enumerate(tensors)}
        for shard in (ONE, TWO):
            save_file({name: tensors[name] for name in tensors if names[name] == shard}, place.model / shard)
        change(place, names)
        if not os.path.lexists(place.model / INDEX):
            (place.model / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": names}))

    return spoil


def _named(shard: str):
    """Every tensor is said to lie in `shard`."""
    return _shards(lambda place, names: names.update(dict.fromkeys(names, shard)))


def _written(text: str | bytes):
    return lambda place: (place.model / INDEX).write_bytes(text if isinstance(text, bytes) else text.encode())


def shard_names() -> Iterator[Case]:
    """Names that lead out of the folder, or are no names."""
    for id, shard in {
        "up": "../base/model.safetensors",
        "absolute": "/etc/passwd.safetensors",
        "below": "sub/x.safetensors",
        "backslash": "..\\x.safetensors",
        "nul": "x\0.safetensors",
        "dots": "..",
        "empty": "",
        "pickle": "model.bin",
        "long": "x" * 5000 + ".safetensors",
    }.items():
        yield Case(f"shard-name-{id}", _named(shard), DECOMPOSE, (INDEX, "is not a plain *.safetensors file name"))
    yield Case("shard-name-other-case", _named(ONE.upper().replace("SAFETENSORS", "safetensors")), DECOMPOSE, (INDEX, "missing"))


def shard_files() -> Iterator[Case]:
    """Shards that are not there, or lead elsewhere."""

    def link(place: Place, names: dict[str, str]) -> None:
        (place.model / ONE).rename(place.root / "elsewhere.safetensors")
        (place.model / ONE).symlink_to("../elsewhere.safetensors")

    def dangling(place: Place, names: dict[str, str]) -> None:
        (place.model / ONE).unlink()
        (place.model / ONE).symlink_to("nowhere")

    def stale(place: Place, names: dict[str, str]) -> None:
        save_file({name: array[:1] for name, array in load_file(place.model / ONE).items()}, place.model / ONE)

    yield Case("shard-a-link-out", _shards(link), DECOMPOSE, (ONE, "link", "elsewhere.safetensors"))
    yield Case("shard-a-dangling-link", _shards(dangling), DECOMPOSE, (INDEX, ONE, "missing"))
    yield Case("shard-missing", _shards(lambda place, names: (place.model / TWO).unlink()), FINETUNE, (INDEX, TWO, "missing"))
    yield Case("shard-stale", _shards(stale), DECOMPOSE, ("config.json", ONE, "shape"))
    yield Case("shard-a-pipe", _shards(lambda place, names: pipe(place.model / ONE)), DECOMPOSE, (ONE, "missing"), hazard=True)


def disagreements() -> Iterator[Case]:
    """Index and shards that say different things."""

    def both(place: Place, names: dict[str, str]) -> None:
        save_file(load_file(place.model / ONE) | load_file(place.model / TWO), place.model / ONE)

    yield Case("index-key-in-two-shards", _shards(both), DECOMPOSE, (INDEX, "is in 2 shards"))
    yield Case(
        "index-key-in-the-other-shard",
        _shards(lambda place, names: names.update({"model.norm.weight": ONE, "lm_head": ONE})),
        DECOMPOSE,
        (INDEX, "'lm_head' is not in"),
    )
    yield Case(
        "index-key-left-out",
        _shards(lambda place, names: names.pop("model.norm.weight")),
        DECOMPOSE,
        (INDEX, "model.norm.weight", "not in the index"),
    )


def contents() -> Iterator[Case]:
    """Indexes that are none."""
    for id, text, word in [
        ("list", "[]", "weight_map"),
        ("empty", "", "not valid JSON"),
        ("map-a-list", '{"weight_map": []}', "weight_map"),
        ("map-to-numbers", '{"weight_map": {"a": 1}}', "weight_map"),
        ("not-utf8", b'{"\xff": 1}', "UTF-8"),
        ("deep", "[" * 100_000, "not valid JSON"),
        ("key-twice", '{"weight_map": {"a": "x", "a": "y"}}', "twice"),
        ("half-surrogate", '{"weight_map": {"a": "\\ud800.safetensors"}}', "not valid JSON"),
    ]:
        yield Case(f"index-{id}", _written(text), DECOMPOSE, (INDEX, word))
    yield Case("index-empty-map", _written('{"weight_map": {}}'), DECOMPOSE, ("/model: ", "'model.embed_tokens.weight' is missing"))
    yield Case("index-huge", lambda place: sparse(place.model / INDEX, 1 << 40), DECOMPOSE, (INDEX, "at most"), hazard=True)
    yield Case("index-a-pipe", lambda place: pipe(place.model / INDEX), DECOMPOSE, (INDEX, "pipe"), hazard=True)


FAULTS = (shard_names, shard_files, disagreements, contents)
