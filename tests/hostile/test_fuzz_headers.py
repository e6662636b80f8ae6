"""Any bytes as a safetensors file: the tensors that lie in it, as the official library reads them, or `InputError`.

Whatever we accept the library must accept, and read alike. Where it accepts what we refuse, the refusal must say one of
`STRICTER`; the docstring of `jaxtrunc.core.safetensors` gives the reasons.
"""

import json
import tracemalloc

import numpy as np
import pytest
import safetensors
from fuzz import NAMES, NUMBERS, VALUES, bounded, laid_out, replaced
from generator.case import WEIGHTS, framed
from hypothesis import example, given
from hypothesis import strategies as st

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.safetensors import DTYPES, open_checkpoint

STRICTER = ("unknown dtype", "whole numbers", "is there twice", "not a JSON object")
PATHS = st.lists(st.integers(0, 7), min_size=1, max_size=4)


@st.composite
def headers(draw) -> dict:
    """A sound header of up to three tensors."""
    names = draw(st.lists(NAMES.filter(lambda name: name != "__metadata__" and name.isprintable()), max_size=3, unique=True))
    dtypes = [draw(st.sampled_from(sorted(DTYPES))) for _ in names]
    shapes = [draw(st.lists(st.integers(0, 3), max_size=3)) for _ in names]
    offsets = laid_out(shapes, [DTYPES[dtype].itemsize for dtype in dtypes])
    return {name: {"dtype": dtype, "shape": shape, "data_offsets": place}
            for name, dtype, shape, place in zip(names, dtypes, shapes, offsets, strict=True)}  # fmt: skip


@st.composite
def files(draw) -> bytes:
    """A sound file with some values of its header replaced, and cut, padded or with a byte changed."""
    header = draw(headers())
    size = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    for _ in range(draw(st.integers(0, 2))):
        header = replaced(header, draw(PATHS), draw(st.one_of(NUMBERS, VALUES)))
    raw = framed(header, bytes(index % 251 for index in range(size)))
    raw = raw[: len(raw) - draw(st.sampled_from([0, 0, 0, 1, 7, 60]))] + draw(st.sampled_from([b"", b"", b"", b"\0", b"more"]))
    place = draw(st.integers(0, len(raw) * 5))
    return raw[:place] + draw(st.binary(min_size=1, max_size=1)) + raw[place + 1:] if place < len(raw) else raw  # fmt: skip


def official(raw: bytes) -> dict | None:
    """Name → (type, shape, bytes) as the official library reads them; None if it refuses."""
    try:
        return {name: (entry["dtype"], list(entry["shape"]), bytes(entry["data"])) for name, entry in safetensors.deserialize(raw)}
    except safetensors.SafetensorError:
        return None


def check(folder, raw: bytes) -> str:
    """What became of the file: `read`, or the refusal."""
    (folder / WEIGHTS).unlink(missing_ok=True)
    (folder / WEIGHTS).write_bytes(raw)
    expected = official(raw)
    try:
        checkpoint = open_checkpoint(folder)
        found = {name: (checkpoint.read(name), info) for name, info in checkpoint.tensors.items()}
    except InputError as error:
        assert expected is None or any(words in str(error) for words in STRICTER), (str(error), raw)
        assert WEIGHTS in str(error)
        return str(error)
    assert expected is not None and found.keys() == expected.keys(), raw
    for name, (array, info) in found.items():
        dtype, shape, data = expected[name]
        assert (array.dtype, list(array.shape)) == (DTYPES[dtype], shape) and 0 <= info.start <= info.stop <= len(raw)
        assert array.tobytes() == raw[info.start:info.stop] == data  # fmt: skip
    return "read"


@bounded(max_examples=400)
@given(files())
@example(framed({"a": {"dtype": "F32", "shape": [2**40, 2**40, 0], "data_offsets": [0, 0]}}))
@example(framed({"a": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}, b"x"))
@example(framed({"a": {"dtype": "F32", "shape": [1] * 33, "data_offsets": [0, 4]}}, b"1234"))
@example(framed(b'{"a": {"dtype": "U8", "shape": [1], "shape": [1], "data_offsets": [0, 1]}}', b"x"))
@example(framed(b'{"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1], "more": 1}}', b"x"))
@example(framed(b'{"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1], "b": 1, "b": 1}}', b"x"))
@example(
    framed(
        b'{"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}, "a": {"dtype": "I8", "shape": [0], "data_offsets": [0, 0]}}'
    )
)
@example(framed(b'{"a": ["U8", [1], [0, 1]]}', b"x"))
@example(framed(b'{"__metadata__": {"a": "b", "a": "c"}}'))
@example(framed(b'{"__metadata__": null}'))
@example(framed(b" {}"))
@example(framed(b'{"__metadata__": {}, "__metadata__": {}}'))
@example(framed(b"\xef\xbb\xbf{}"))
@example(framed(b"{}   "))
@example(framed(b"{}", b"x"))
@example(framed(b""))
def test_damaged_files(tmp_path, raw):
    check(tmp_path, raw)


@bounded(max_examples=150)
@given(st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(framed), VALUES.map(framed)))
def test_any_bytes(tmp_path, raw):
    check(tmp_path, raw)


@bounded(max_examples=60)
@given(headers())
def test_sound_files_are_read(tmp_path, header):
    size = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    assert check(tmp_path, framed(header, bytes(size))) == "read"


@pytest.mark.parametrize("claim", [2**20, 2**31, 2**40, 2**62])
@pytest.mark.parametrize("field", ["length", "shape", "offsets", "rank"])
def test_a_claimed_number_allocates_nothing(tmp_path, field, claim):
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    entry |= {"shape": {"shape": [claim]}, "offsets": {"data_offsets": [0, claim]}, "rank": {"shape": [1] * 31 + [claim]}}.get(
        field, {}
    )
    raw = framed(json.dumps({"a": entry}).encode(), bytes(8))
    (tmp_path / WEIGHTS).write_bytes(claim.to_bytes(8, "little") + raw[8:] if field == "length" else raw)
    tracemalloc.start()
    with pytest.raises(InputError):
        open_checkpoint(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 18


def test_the_library_is_the_one_that_decides():
    """The oracle refuses and accepts; else the tests above would show nothing."""
    assert official(b"") is None
    assert official(framed({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}}, b"xy")) == {"a": ("U8", [2], b"xy")}
    assert np.dtype(np.uint8) == DTYPES["U8"]
