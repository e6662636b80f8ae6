"""Two real processes of four devices each: together they give what one gives, every matrix once, whoever carries on."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from decompose_process import BASE, FT, MESHES, REFS
from matrices import assert_same

from jaxtrunc.spectral import decompose, decompose_into, load, store

HERE = Path(__file__).parent
WAYS = ["gram64", "device", *(f"sharded {sizes}" for sizes in MESHES), "begun by one"]


@pytest.fixture(scope="module")
def whole():
    return decompose(BASE, FT, REFS)


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    """What the two made: one stored decomposition per way."""
    made = tmp_path_factory.mktemp("processes")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(store, "CHUNK_BYTES", 1)
        decompose_into(made / "begun by one", BASE, FT, REFS, advance=stop_after(4))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    children = [subprocess.Popen([sys.executable, HERE / "decompose_process.py", made, str(port), str(index)], text=True,
                                 env=environment, stderr=subprocess.PIPE) for index in range(2)]
    try:
        said = [child.communicate(timeout=240)[1] for child in children]
    finally:
        for child in children:
            child.kill()
    assert [child.returncode for child in children] == [0, 0], "\n".join(text[-3000:] for text in said)
    return made


def stop_after(matrices: int):
    names = []

    def advance(steps: int = 1, note: str = "") -> None:
        names.append(note)
        if len(names) > matrices:
            raise KeyboardInterrupt

    return advance


def stored_names(made: Path) -> list[list[str]]:
    """Names in each part, process by process."""
    return [[json.loads(line)["name"] for line in part.read_text().splitlines()] for part in sorted(made.glob("matrices-*.jsonl"))]


@pytest.mark.parametrize("way", WAYS)
def test_the_union_is_what_one_process_gives(directory, whole, way):
    found = load(directory / way)
    assert list(found.matrices) == list(whole.matrices) and found.skipped == whole.skipped
    for name, svd in whole.matrices.items():
        ours = found.matrices[name]
        np.testing.assert_allclose(ours.s, svd.s, rtol=0, atol=1e-12 * svd.s[0])
        assert (ours.ref, ours.base_hash, ours.ft_hash, ours.rank) == (svd.ref, svd.base_hash, svd.ft_hash, svd.rank)
        np.testing.assert_allclose(ours.basis.T @ ours.basis, np.eye(ours.r), atol=1e-11)


@pytest.mark.parametrize("way", WAYS)
def test_every_matrix_is_made_once_and_both_have_some(directory, way):
    parts = stored_names(directory / way)
    assert sorted(name for part in parts for name in part) == sorted(ref.name for ref in REFS)
    assert len(parts) == 2 and min(map(len, parts)) >= 4
    assert len(list((directory / way).glob("chunk-*"))) >= 2


def test_one_process_carries_on_what_two_began(directory, whole, monkeypatch):
    before = stored_names(directory / "killed")
    assert len(before) == 2 and all(2 <= len(part) <= 3 for part in before)  # a zero ΔW is stored with the next chunk
    asked = []
    real = store.each
    monkeypatch.setattr(store, "each", lambda base, ft, refs, **more: (asked.extend(refs), real(base, ft, refs, **more))[1])
    assert_same(decompose_into(directory / "killed", BASE, FT, REFS), whole)
    assert len(asked) == len(REFS) - sum(map(len, before))
    assert sorted(name for part in stored_names(directory / "killed") for name in part) == sorted(ref.name for ref in REFS)
