"""A decomposition on disk: the same after loading, resumable after a kill, refused when damaged."""

import numpy as np
import pytest
from matrices import assert_same, gaussian

from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral import decompose, decompose_into, load, references, save, store
from jaxtrunc.spectral.lines import to_line

BASE = {"a/kernel": gaussian(3 * 40, 32, 1, 0.02).reshape(3, 40, 32), "b/kernel": gaussian(32, 64, 2, 0.02)}
FT = {path: leaf + gaussian(1, leaf.size, 3).reshape(leaf.shape) for path, leaf in BASE.items()}
FT["a/kernel"][1] = BASE["a/kernel"][1]
REFS = references({path: leaf.shape for path, leaf in BASE.items()})
WHOLE = decompose(BASE, FT, REFS)
LINES = "matrices-000.jsonl"


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(store, "CHUNK_BYTES", 1)  # one matrix per chunk


@pytest.mark.parametrize("backend", ["gram64", "gram32", "device"])
def test_saved_and_loaded_it_is_the_same(tmp_path, backend):
    made = decompose(BASE, FT, REFS, backend=backend)
    save(made, tmp_path / "d")
    assert_same(load(tmp_path / "d"), made)
    assert list(made.skipped) == ["a/kernel.1"]


def test_heads_fused_parts_and_experts_keep_their_place(tmp_path):
    refs = references({"qkv/kernel": (2, 40, 96)}, views={"qkv/kernel": store_layout()})
    base, ft = ({"qkv/kernel": gaussian(80, 96, seed).reshape(2, 40, 96)} for seed in (1, 2))
    made = decompose_into(tmp_path / "d", base, ft, refs)
    assert_same(made, decompose(base, ft, refs))
    assert [svd.ref for svd in made.matrices.values()] == refs


def store_layout():
    from jaxtrunc.spectral import Layout

    return Layout(1, parts={"q": 32, "k": 32, "v": 32})


@pytest.mark.parametrize("kept", [0, 1, 2, 3, 4])
def test_a_killed_decomposition_goes_on_where_it_was(tmp_path, small_chunks, kept, monkeypatch):
    decompose_into(tmp_path / "d", BASE, FT, REFS)
    lines = (tmp_path / "d" / LINES).read_text().splitlines()
    torn = "".join(line + "\n" for line in lines[:kept]) + (lines[kept][:20] if kept < len(lines) else "")
    (tmp_path / "d" / LINES).write_text(torn)
    asked = []
    real = store.each
    monkeypatch.setattr(store, "each", lambda base, ft, refs, **more: (asked.extend(refs), real(base, ft, refs, **more))[1])
    steps = []
    resumed = decompose_into(tmp_path / "d", BASE, FT, REFS, advance=lambda n=1, note="": steps.append(n))
    assert len(asked) == len(REFS) - kept and sum(steps) == len(REFS)
    assert_same(resumed, WHOLE)


def test_an_interruption_keeps_what_is_finished(tmp_path):
    done = []

    def advance(_steps, name):
        done.append(name)
        if len(done) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decompose_into(tmp_path / "d", BASE, FT, REFS, advance=advance)
    kept = load(tmp_path / "d")
    assert {*kept.matrices, *kept.skipped} == set(done[:2])


def test_a_resume_on_other_weights_another_backend_or_another_selection_is_refused(tmp_path):
    decompose_into(tmp_path, BASE, FT, REFS)
    with pytest.raises(InputError, match="gram64, not host"):
        decompose_into(tmp_path, BASE, FT, REFS, backend="host")
    with pytest.raises(InputError, match=r"b/kernel was decomposed from other weights"):
        decompose_into(tmp_path, BASE, FT | {"b/kernel": FT["b/kernel"] + 1e-3}, REFS)
    with pytest.raises(InputError, match="not selected now"):
        decompose_into(tmp_path, BASE, FT, REFS[:1])


def test_a_matrix_that_was_zero_and_no_longer_is_is_not_taken_for_done(tmp_path):
    decompose_into(tmp_path, BASE, FT, REFS)
    changed = FT | {"a/kernel": FT["a/kernel"].copy()}
    changed["a/kernel"][1] += np.float32(1e-3)
    with pytest.raises(InputError, match=r"a/kernel\.1 was decomposed from other weights"):
        decompose_into(tmp_path, BASE, changed, REFS)


def test_a_chunk_that_no_line_names_is_thrown_away(tmp_path, small_chunks):
    """Killed between the chunk and its line."""
    decompose_into(tmp_path, BASE, FT, REFS)
    lines = (tmp_path / LINES).read_text().splitlines(keepends=True)
    (tmp_path / LINES).write_text("".join(lines[:-1]))
    assert_same(decompose_into(tmp_path, BASE, FT, REFS), WHOLE)
    assert len(list(tmp_path.glob("*.safetensors"))) == len(WHOLE.matrices)


@pytest.mark.parametrize("damage", ["bytes", "cut", "gone", "line", "format"])
def test_damage_is_refused_in_one_sentence_that_names_the_file(tmp_path, damage):
    save(decompose(BASE, FT, REFS), tmp_path)
    chunk, lines = tmp_path / "chunk-000-00000.safetensors", tmp_path / LINES
    if damage == "bytes":
        held = bytearray(chunk.read_bytes())
        held[-20] ^= 0xFF
        chunk.write_bytes(held)
    elif damage == "cut":
        chunk.write_bytes(chunk.read_bytes()[:-100])
    elif damage == "gone":
        chunk.unlink()
    elif damage == "line":
        lines.write_text(lines.read_text().replace('"frobenius"', '"frobenios"'))
    else:
        (tmp_path / store.HEAD).write_text('{"format": 99, "backend": "gram64"}')
    named = {"line": LINES, "format": store.HEAD}.get(damage, chunk.name)
    with pytest.raises(InputError, match=named):
        [svd.basis for svd in load(tmp_path).matrices.values()]


def test_a_chunk_outside_the_directory_is_not_followed(tmp_path):
    save(decompose(BASE, FT, REFS), tmp_path / "d")
    (tmp_path / "d" / "chunk-000-00000.safetensors").rename(tmp_path / "chunk-000-00000.safetensors")
    pointing = [to_line(svd.ref, svd, "../chunk-000-00000.safetensors") for svd in WHOLE.matrices.values()]
    jsonio.rewrite_lines(tmp_path / "d" / LINES, pointing)
    with pytest.raises(InputError, match="missing"):
        load(tmp_path / "d")


def test_bases_stay_on_disk_until_used(tmp_path):
    save(decompose(BASE, FT, REFS), tmp_path)
    loaded = load(tmp_path)
    (tmp_path / "chunk-000-00000.safetensors").unlink()
    assert loaded.r_max == 32
    with pytest.raises(InputError, match="cannot read the basis"):
        _ = loaded.matrices["b/kernel"].basis
