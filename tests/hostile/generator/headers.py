"""Safetensors files whose headers lie."""

import json
import os
from collections.abc import Iterator
from typing import Any

from generator.case import DECOMPOSE, EXPORT, FINETUNE, WEIGHTS, Case, Place, framed, pipe, sparse, split

NORM = "model.norm.weight"


def _raw(content: bytes):
    return lambda place: (place.model / WEIGHTS).write_bytes(content)


def _entry(**changes: Any):
    """Change the fields of one tensor's entry; the data stay."""

    def spoil(place: Place) -> None:
        header, data = split(place.model / WEIGHTS)
        header[NORM] |= changes
        (place.model / WEIGHTS).write_bytes(framed(header, data))

    return spoil


def _shifted(by: int):
    """Move the offsets of one tensor."""

    def spoil(place: Place) -> None:
        header, _ = split(place.model / WEIGHTS)
        _entry(data_offsets=[end + by for end in header[NORM]["data_offsets"]])(place)

    return spoil


def _file(change):
    """Change the bytes of the file."""

    def spoil(place: Place) -> None:
        file = place.model / WEIGHTS
        file.write_bytes(change(file.read_bytes()))

    return spoil


def lengths() -> Iterator[Case]:
    """The header's length, and the file's."""
    for id, spoil in {
        "header-empty-file": _raw(b""),
        "header-seven-bytes": _raw(b"\1\0\0\0\0\0\0"),
        "header-longer-than-file": _file(lambda raw: (len(raw) - 7).to_bytes(8, "little") + raw[8:]),
        "header-of-2**64-bytes": _file(lambda raw: b"\xff" * 8 + raw[8:]),
        "header-cut-inside": _file(lambda raw: raw[:200]),
    }.items():
        yield Case(id, spoil, DECOMPOSE, (WEIGHTS, "header claims"))
    yield Case("data-cut", _file(lambda raw: raw[:-3]), FINETUNE, (WEIGHTS, "truncated"))
    yield Case("data-trailing", _file(lambda raw: raw + b"more"), DECOMPOSE, (WEIGHTS, "truncated or damaged"))


def texts() -> Iterator[Case]:
    """Headers that are no JSON object of tensors."""
    deep = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
    for id, text, word in [
        ("header-not-json", b"{]", "not valid JSON"),
        ("header-not-utf8", b'{"\xff": 1}', "not valid JSON"),
        ("header-utf16", json.dumps({}).encode("utf-16"), "not valid JSON"),
        ("header-deep", deep, "nested too deeply"),
        ("header-a-list", b"[]", "not a JSON object"),
        ("header-after-a-space", b" {}", "not a JSON object"),
        ("header-nan", b'{"x": NaN}', "NaN"),
        ("header-long-number", b'{"x": ' + b"9" * 5000 + b"}", "not valid JSON"),
        ("header-half-surrogate", b'{"\\ud800": 1}', "not valid JSON"),
        ("header-metadata", b'{"__metadata__": {"a": 1}}', "strings"),
        ("header-key-twice", b'{"a": 1, "b": 2, "a": 1}', "'a' is there twice"),
        ("header-newline-in-name", b'{"a\\nb": 1}', "dtype"),
    ]:
        yield Case(id, _raw(framed(text)), DECOMPOSE, (WEIGHTS, word))


def offsets() -> Iterator[Case]:
    """Tensors that lie elsewhere than one after the other."""
    for id, spoil, word in [
        ("offset-negative", _entry(data_offsets=[-4, 0]), "whole numbers"),
        ("offset-overlap", _shifted(-4), "overlaps"),
        ("offset-hole", _shifted(4), "hole"),
        ("offset-backwards", _entry(data_offsets=[64, 0]), "data_offsets give -64"),
        ("offset-three", _entry(data_offsets=[0, 64, 64]), "two data_offsets"),
        ("offset-beyond", _shifted(2**40), "hole"),
        ("offset-a-text", _entry(data_offsets="0,64"), "whole numbers"),
        ("offset-2**64", _entry(data_offsets=[2**64, 2**64 + 64]), "whole"),
    ]:
        yield Case(id, spoil, DECOMPOSE, (WEIGHTS, NORM, word))


def shapes() -> Iterator[Case]:
    """Shapes and element types that do not fit the bytes."""
    for id, changes, word in [
        ("shape-overflow", {"shape": [2**62, 2**62]}, "beyond what any file holds"),
        ("shape-overflow-to-nothing", {"shape": [2**40, 2**40, 0]}, "beyond what any file holds"),
        ("shape-wraps-to-the-right-size", {"shape": [2**32, 2**32, 32]}, "beyond what any file holds"),
        ("shape-rank-10000", {"shape": [1] * 10_000}, "whole numbers"),
        ("shape-float", {"shape": [32.0]}, "whole numbers"),
        ("shape-bool", {"shape": [True]}, "whole numbers"),
        ("shape-negative", {"shape": [-16]}, "whole numbers"),
        ("shape-nothing", {"shape": None}, "whole numbers"),
        ("shape-larger", {"shape": [33]}, "needs 132 bytes"),
        ("dtype-unknown", {"dtype": "F31"}, "unknown dtype 'F31'"),
        ("dtype-a-list", {"dtype": ["F32"]}, "unknown dtype"),
        ("dtype-too-wide", {"dtype": "F64"}, "needs 256 bytes"),
        ("dtype-missing", {"dtype": None}, "unknown dtype"),
    ]:
        yield Case(id, _entry(**changes), DECOMPOSE, (WEIGHTS, NORM, word))
    yield Case("dtype-whole-numbers", _entry(dtype="I32"), DECOMPOSE, (NORM, "int32"))


def places() -> Iterator[Case]:
    """What lies where the file should be."""

    def link(to: str):
        def spoil(place: Place) -> None:
            (place.model / WEIGHTS).rename(place.root / "elsewhere.safetensors")
            os.symlink(to, place.model / WEIGHTS)

        return spoil

    def folder(place: Place) -> None:
        (place.model / WEIGHTS).unlink()
        (place.model / WEIGHTS).mkdir()

    def pickled(place: Place) -> None:
        (place.model / WEIGHTS).unlink()
        (place.model / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")

    yield Case("weights-a-link-out", link("../elsewhere.safetensors"), DECOMPOSE, (WEIGHTS, "link", "elsewhere.safetensors"))
    yield Case("weights-a-dangling-link", link("nowhere.safetensors"), DECOMPOSE, (WEIGHTS,))
    yield Case("weights-a-link-to-itself", link(WEIGHTS), DECOMPOSE, (WEIGHTS,))
    yield Case("weights-a-directory", folder, DECOMPOSE, (WEIGHTS, "expected a file"))
    yield Case("weights-a-pickle", pickled, FINETUNE, ("pytorch_model.bin", "pickle"))
    yield Case("weights-a-pipe", lambda place: pipe(place.model / WEIGHTS), DECOMPOSE, (WEIGHTS, "expected a file"), hazard=True)
    yield Case(
        "weights-a-terabyte-of-nothing", lambda place: sparse(place.model / WEIGHTS, 1 << 40), DECOMPOSE, (WEIGHTS,), hazard=True
    )


def of_chunks() -> Iterator[Case]:
    """The same faults in a stored decomposition."""

    def cut(place: Place) -> None:
        chunk = next((place.run / "decomposition").glob("*.safetensors"))
        chunk.write_bytes(chunk.read_bytes()[:-100])

    def gone(place: Place) -> None:
        next((place.run / "decomposition").glob("*.safetensors")).unlink()

    yield Case("chunk-cut", cut, EXPORT, ("chunk-000-00000.safetensors", "changed"))
    yield Case("chunk-missing", gone, EXPORT, ("chunk-000-00000.safetensors", "missing"))


FAULTS = (lengths, texts, offsets, shapes, places, of_chunks)
