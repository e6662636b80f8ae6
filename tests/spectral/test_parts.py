"""A stored decomposition in several parts, and one that was damaged: whole again, and only what is missing is computed."""

import shutil

import numpy as np
import pytest
from matrices import assert_same, gaussian

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral import Decomposition, decompose, decompose_into, divide, drop_damaged, load, references, store
from jaxtrunc.spectral.store import Writer, begin

BASE = {"a/kernel": gaussian(4 * 40, 32, 1, 0.02).reshape(4, 40, 32), "b/kernel": gaussian(32, 64, 2, 0.02)}
FT = {path: leaf + gaussian(1, leaf.size, 3).reshape(leaf.shape) for path, leaf in BASE.items()}
FT["a/kernel"][1] = BASE["a/kernel"][1]
REFS = references({path: leaf.shape for path, leaf in BASE.items()})
WHOLE = decompose(BASE, FT, REFS)


@pytest.fixture
def computed(monkeypatch) -> list[str]:
    """Names of the matrices that are decomposed; every chunk holds one."""
    names: list[str] = []
    real = store.each
    monkeypatch.setattr(store, "CHUNK_BYTES", 1)
    monkeypatch.setattr(store, "each", lambda base, ft, refs, **more: (
        names.extend(ref.name for ref in refs), real(base, ft, refs, **more))[1])
    return names


def write_part(directory, part: int, refs) -> None:
    """As one of several processes would."""
    writer = Writer(directory, part)
    for ref in refs:
        writer.add(ref, WHOLE.matrices.get(ref.name))
    writer.close()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_parts_together_are_the_whole(tmp_path, count):
    begin(tmp_path, Decomposition("gram64"))
    for part, refs in enumerate(divide(REFS, count)):
        write_part(tmp_path, part, refs)
    assert len(list(tmp_path.glob("matrices-*.jsonl"))) == count
    assert_same(load(tmp_path), WHOLE)


def test_what_three_processes_began_one_carries_on(tmp_path, computed):
    """Two of them got somewhere; one was killed in a line, another between a chunk and its line, and one within a chunk."""
    begin(tmp_path, Decomposition("gram64"))
    shares = divide(REFS, 3)
    write_part(tmp_path, 1, shares[1])
    write_part(tmp_path, 2, shares[2])
    lines = tmp_path / "matrices-002.jsonl"
    kept = lines.read_text().splitlines(keepends=True)
    lines.write_text("".join(kept[:-1]) + kept[-1][:50])
    write_part(tmp_path, 4, shares[0][:1])
    (tmp_path / "matrices-004.jsonl").unlink()
    (tmp_path / ".chunk-004-00001.safetensors.staged").write_bytes(b"half")
    assert_same(decompose_into(tmp_path, BASE, FT, REFS), WHOLE)
    assert sorted(computed) == sorted([*(ref.name for ref in shares[0]), shares[2][-1].name])
    assert not list(tmp_path.glob("*004*")) and not list(tmp_path.glob(".*"))
    computed.clear()
    assert_same(decompose_into(tmp_path, BASE, FT, REFS), WHOLE)
    assert not computed


def flip(path, position: int, bit: int) -> None:
    held = bytearray(path.read_bytes())
    held[position] ^= 1 << bit
    path.write_bytes(held)


@pytest.mark.parametrize("name", ["chunk-000-00002.safetensors", "matrices-000.jsonl", "decomposition.json"])
def test_any_flipped_bit_is_seen_and_mended(tmp_path, computed, name):
    decompose_into(tmp_path / "sound", BASE, FT, REFS)
    size = (tmp_path / "sound" / name).stat().st_size
    for position, bit in np.random.default_rng(0).integers((size, 8), size=(25, 2)):
        shutil.copytree(tmp_path / "sound", tmp_path / "d")
        flip(tmp_path / "d" / name, position, bit)
        try:
            assert_same(load(tmp_path / "d"), WHOLE)  # white space
        except InputError as error:
            assert name in str(error)
        computed.clear()
        dropped = drop_damaged(tmp_path / "d")
        assert_same(decompose_into(tmp_path / "d", BASE, FT, REFS), WHOLE)
        assert len(computed) <= (len(REFS) if name == "decomposition.json" else 2)  # two where a line break was hit
        hit = not {ref.name for ref in REFS}.issuperset(dropped)  # the name itself
        assert set(dropped) >= set(computed) or hit
        shutil.rmtree(tmp_path / "d")


def test_only_what_is_damaged_is_dropped_and_computed(tmp_path, computed):
    decompose_into(tmp_path, BASE, FT, REFS)
    lines = [line.split('"')[3] for line in (tmp_path / "matrices-000.jsonl").read_text().splitlines()]
    stored = [name for name in lines if name in WHOLE.matrices]
    flip(tmp_path / "chunk-000-00001.safetensors", -20, 0)
    (tmp_path / "chunk-000-00003.safetensors").unlink()
    with pytest.raises(InputError, match="chunk-000-00003"):
        load(tmp_path)
    computed.clear()
    assert drop_damaged(tmp_path) == [stored[1], stored[3]]
    assert len(load(tmp_path).matrices) == len(stored) - 2
    assert_same(decompose_into(tmp_path, BASE, FT, REFS), WHOLE)
    assert sorted(computed) == sorted([stored[1], stored[3]])
    assert drop_damaged(tmp_path) == []


def test_a_sound_decomposition_loses_nothing(tmp_path):
    decompose_into(tmp_path, BASE, FT, REFS)
    assert drop_damaged(tmp_path) == []
    assert_same(load(tmp_path), WHOLE)
