"""Any index beside two sound shards: the tensors of the files it names, all and once, or `InputError`."""

import json

import numpy as np
import pytest
from fuzz import NAMES, VALUES, bounded
from generator.case import INDEX
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.safetensors import open_checkpoint

SHARDS = {"1.safetensors": {"a": np.arange(3), "b": np.ones((2, 2), np.float32)}, "2.safetensors": {"c": np.zeros(1, np.int8)}}
SOUND = {name: shard for shard, tensors in SHARDS.items() for name in tensors}
OTHER = st.sampled_from(
    ["1.safetensors", "2.safetensors", "3.safetensors", "../out.safetensors", "folder.safetensors", "out.safetensors"]
)
FILES = st.one_of(OTHER, NAMES.map(lambda name: name + ".safetensors"), VALUES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two shards, a folder and a link out that are called like shards, and a shard outside."""
    outside = tmp_path_factory.mktemp("model")
    folder = outside / "model"
    (folder / "folder.safetensors").mkdir(parents=True)
    for shard, tensors in SHARDS.items():
        save_file(tensors, folder / shard)
    save_file(SHARDS["1.safetensors"], outside / "out.safetensors")
    (folder / "out.safetensors").symlink_to("../out.safetensors")
    return folder


def check(folder, raw: bytes) -> bool:
    """Whether the index was accepted."""
    (folder / INDEX).write_bytes(raw)
    try:
        checkpoint = open_checkpoint(folder)
    except InputError as error:
        assert str(folder) in str(error)
        return False
    named = json.loads(raw)["weight_map"]
    assert checkpoint.tensors.keys() == named.keys()
    for name, info in checkpoint.tensors.items():
        assert info.file == folder / named[name] and info.file.resolve().parent == folder.resolve()
        np.testing.assert_array_equal(checkpoint.read(name), SHARDS[named[name]][name])
    return True


@bounded(max_examples=200)
@given(st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), FILES, max_size=2), st.booleans())
def test_changed_maps(folder, changes, whole):
    weight_map = SOUND | changes if whole else changes
    assert check(folder, json.dumps({"weight_map": weight_map}).encode()) == (weight_map in ({}, SOUND, _only(1), _only(2)))


def _only(number: int) -> dict[str, str]:
    return {name: shard for name, shard in SOUND.items() if shard == f"{number}.safetensors"}


@bounded(max_examples=150)
@given(
    st.one_of(
        st.binary(max_size=40), VALUES.map(json.dumps).map(str.encode), VALUES.map(lambda v: json.dumps({"weight_map": v}).encode())
    )
)
def test_any_bytes(folder, raw):
    check(folder, raw)
