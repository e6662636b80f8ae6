"""Hostile and damaged safetensors files: each is refused in one sentence that names the file."""

import json

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.safetensors import INDEX, WEIGHTS, content_hash, listed, open_checkpoint

RNG = np.random.default_rng(0)
TENSORS = {
    "a": RNG.normal(size=(300, 40)).astype(np.float32),
    "b": RNG.normal(size=(5,)).astype(ml_dtypes.bfloat16),
    "c": np.arange(6, dtype=np.float16).reshape(2, 3),
    "empty": np.zeros((0, 4), np.float32),
    "scalar": np.array(3, np.int64),
}


def write(folder, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (folder / WEIGHTS).write_bytes(len(text).to_bytes(8, "little") + text + data)


def entry(shape=(2,), offsets=(0, 8), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def shards(folder, parts, weight_map=None):
    for file, tensors in parts.items():
        save_file(tensors, folder / file)
    weight_map = weight_map or {name: file for file, tensors in parts.items() for name in tensors}
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))


def refused(folder, *words):
    with pytest.raises(InputError) as caught:
        open_checkpoint(folder)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)


def test_reads_what_the_library_wrote(tmp_path):
    save_file(TENSORS, tmp_path / WEIGHTS, metadata={"format": "pt"})
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.tensors.keys() == TENSORS.keys()
    for name, expected in TENSORS.items():
        found = checkpoint.read(name)
        assert found.dtype == expected.dtype and (not found.flags.writeable or found.size == 0)
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(checkpoint.read("a", slice(17, 30)), TENSORS["a"][17:30])
    checkpoint.release("a")
    np.testing.assert_array_equal(checkpoint.read("a"), TENSORS["a"])


def test_shards_and_their_hash(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir(), two.mkdir()
    save_file(TENSORS, one / WEIGHTS)
    names = list(TENSORS)
    shards(two, {f"{i}.safetensors": {name: TENSORS[name]} for i, name in enumerate(names)})
    assert content_hash(open_checkpoint(one)) == content_hash(open_checkpoint(two))
    changed = TENSORS | {"a": TENSORS["a"] + np.float32(1)}
    save_file(changed, one / WEIGHTS)
    assert content_hash(open_checkpoint(one)) != content_hash(open_checkpoint(two))


@pytest.mark.parametrize("cut", [1, 1000, 48_000])
def test_truncated(tmp_path, cut):
    save_file(TENSORS, tmp_path / WEIGHTS)
    whole = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(whole[:-cut])
    refused(tmp_path, WEIGHTS, "truncated")


@pytest.mark.parametrize("content", [b"", b"abc", (2**40).to_bytes(8, "little") + b"{}", b"\xff" * 16])
def test_header_length_that_is_not_true(tmp_path, content):
    (tmp_path / WEIGHTS).write_bytes(content)
    refused(tmp_path, WEIGHTS, "header claims")


@pytest.mark.parametrize(
    ("header", "data", "words"),
    [
        (b"{", b"", ["not valid JSON"]),
        (b"\xff\xfe", b"", ["not valid JSON"]),
        (b"[" * 100_000, b"", ["not valid JSON"]),
        (b"[1]", b"", ["not a JSON object"]),
        (b'{"x": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}, "x": 1}', b"", ["'x' is there twice"]),
        ({"x": entry(dtype="F31")}, bytes(8), ["'x'", "unknown dtype 'F31'"]),
        ({"x": 3}, bytes(8), ["'x'", "dtype"]),
        ({"x": entry(shape=(-1,))}, bytes(8), ["'x'", "whole numbers"]),
        ({"x": entry(shape=(2.0,))}, bytes(8), ["'x'", "whole numbers"]),
        ({"x": entry(shape=(True, 2))}, bytes(8), ["'x'", "whole numbers"]),
        ({"x": entry(offsets=(0, 8, 9))}, bytes(8), ["'x'", "data_offsets"]),
        ({"x": entry(shape=(2**40, 2**40))}, bytes(8), ["'x'", "beyond what any file holds"]),
        ({"x": entry(shape=(2**40, 2**40, 0), offsets=(0, 0))}, b"", ["'x'", "beyond what any file holds"]),
        ({"__metadata__": {"a": 1}, "x": entry()}, bytes(8), ["__metadata__", "strings"]),
        (b' {"x": 1}', b"", ["not a JSON object"]),
        ({"x": entry(shape=(3,))}, bytes(8), ["'x'", "needs 12 bytes", "give 8"]),
        ({"x": entry(offsets=(8, 0))}, bytes(8), ["'x'"]),
        ({"x": entry(offsets=(8, 16))}, bytes(16), ["'x'", "hole"]),
        ({"x": entry(), "y": entry(offsets=(4, 12))}, bytes(12), ["'y'", "overlaps"]),
        ({"x": entry(), "y": entry()}, bytes(8), ["'y'", "overlaps"]),
        ({"x": entry()}, bytes(9), ["truncated or damaged"]),
        ({"x": entry(shape=(2**33,), offsets=(0, 2**35))}, bytes(8), ["truncated or damaged"]),
    ],
)
def test_lying_headers(tmp_path, header, data, words):
    write(tmp_path, header, data)
    refused(tmp_path, WEIGHTS, *words)


@pytest.mark.parametrize(
    "name", ["../outside.safetensors", "/etc/outside.safetensors", "sub/x.safetensors", "..", "a\\b.safetensors", "x.bin", ""]
)
def test_shard_names_with_a_path(tmp_path, name):
    save_file(TENSORS, tmp_path.parent / "outside.safetensors")
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": name}}))
    refused(tmp_path, INDEX, repr(name))


def test_index_and_shards_that_disagree(tmp_path):
    one, two = {"a": TENSORS["a"], "twice": TENSORS["c"]}, {"b": TENSORS["b"], "twice": TENSORS["c"]}
    parts = {"1.safetensors": one, "2.safetensors": two}
    shards(tmp_path, parts, {"a": "2.safetensors", "twice": "1.safetensors"})
    refused(tmp_path, INDEX, "'a' is not in 2.safetensors", "'twice' is in 2 shards", "'b' is in a shard but not in the index")


def test_a_shard_that_is_missing(tmp_path):
    shards(tmp_path, {"1.safetensors": {"a": TENSORS["a"]}}, {"a": "1.safetensors", "b": "2.safetensors"})
    refused(tmp_path, INDEX, "2.safetensors", "missing")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 3}}'])
def test_an_index_that_is_none(tmp_path, text):
    (tmp_path / INDEX).write_text(text)
    refused(tmp_path, INDEX)


def test_the_index_is_what_counts(tmp_path):
    save_file({"old": TENSORS["a"]}, tmp_path / WEIGHTS)
    shards(tmp_path, {"new.safetensors": {"a": TENSORS["a"]}})
    assert list(open_checkpoint(tmp_path).tensors) == ["a"]


def test_links_are_followed_as_the_hub_cache_makes_them(tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "a1b2"
    blobs.mkdir(), snapshot.mkdir(parents=True)
    save_file(TENSORS, blobs / "abc")
    (snapshot / WEIGHTS).symlink_to("../../blobs/abc")
    np.testing.assert_array_equal(open_checkpoint(snapshot).read("c"), TENSORS["c"])
    (tmp_path / "elsewhere").symlink_to(snapshot)
    np.testing.assert_array_equal(open_checkpoint(tmp_path / "elsewhere").read("c"), TENSORS["c"])


def test_links_to_other_places_are_not_followed(tmp_path):
    folder = tmp_path / "snapshots" / "a1b2"
    folder.mkdir(parents=True)
    save_file(TENSORS, tmp_path / "mine.safetensors")
    (folder / WEIGHTS).symlink_to("../../mine.safetensors")
    refused(folder, WEIGHTS, "link", "mine.safetensors")


def test_no_weights_at_all(tmp_path):
    refused(tmp_path, str(tmp_path), WEIGHTS, INDEX)
    (tmp_path / WEIGHTS).mkdir()
    refused(tmp_path, WEIGHTS, "expected a file")


def test_long_lists_are_counted():
    assert listed(["x"] * 15) == "; ".join(["x"] * 12) + "; and 3 more"
