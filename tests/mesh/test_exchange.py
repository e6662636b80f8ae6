"""Level weights that the hosts hold matrix by matrix, laid out for computing; and which process holds what."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from runs import UNEVEN, DiskLeaf, random_params

from jaxtrunc import spectral
from jaxtrunc.core.mesh import compute_mesh, param_shardings
from jaxtrunc.core.trees import flatten
from jaxtrunc.models import hf_names
from jaxtrunc.recipes import exchange, levels
from jaxtrunc.recipes.levels import LevelWeights

SHAPES = [(8, 1, 1), (1, 8, 1), (1, 1, 8), (2, 2, 2), (4, 1, 2), (1, 4, 2)]


def layout_of(path, shape, mesh):
    return param_shardings(mesh, {path: np.empty(shape)})[path]


@pytest.mark.parametrize("mesh", SHAPES)
@pytest.mark.parametrize("shape", [(5, 16, 24), (8, 16, 24), (19, 16, 24), (16, 24), (3, 12, 20)])
def test_every_matrix_comes_to_its_place(mesh, shape):
    want = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    layout = layout_of("mlp/down_proj/kernel", shape, compute_mesh(*mesh))
    leaf = exchange.assemble(shape, layout, lambda number: want[number] if want.ndim == 3 else want)
    np.testing.assert_array_equal(leaf, want)
    assert leaf.sharding.is_equivalent_to(layout, leaf.ndim)


def test_no_device_gathers_a_matrix_that_it_holds_a_part_of():
    layout = layout_of("q_proj/kernel", (8, 16, 24), compute_mesh(1, 2, 4))
    program = exchange._exchange((8, 16, 24), layout).lower(np.zeros((8, 16, 24), np.float32)).compile().as_text()
    assert "all-to-all" in program
    gathered = re.findall(r"= f32\[([\d,]+)\]\S* all-gather\(", program)
    assert all(np.prod([int(size) for size in shape.split(",")]) <= 8 * 8 * 6 for shape in gathered), gathered


def test_the_way_of_several_processes_gives_the_bits_of_one(monkeypatch):
    """Two of three layers are cut, so that the third must come from the file."""
    base = flatten(random_params(UNEVEN))
    random = np.random.default_rng(2)
    ft = {path: leaf + random.normal(0, 0.01, leaf.shape).astype(np.float32) for path, leaf in base.items()}
    refs = spectral.references({path: leaf.shape for path, leaf in base.items()}, hf_names(UNEVEN))
    chosen = [ref for ref in refs if "layers.1" not in ref.name and "_proj" in ref.name]
    pair = SimpleNamespace(base=SimpleNamespace(leaves=lazy(base)), ft=SimpleNamespace(leaves=lazy(ft)), cfg=UNEVEN)
    decomposition = spectral.decompose(base, ft, chosen)
    mesh, level = compute_mesh(2, 2, 2), spectral.Level("bottom_k", k=3, norm_matched=True)
    one = LevelWeights(pair, decomposition, "ft", mesh).at(level)
    monkeypatch.setattr(levels.jax, "process_count", lambda: 2)
    two = LevelWeights(pair, decomposition, "ft", mesh)
    monkeypatch.undo()
    assert two._rebuild.weights(level).leaves == {}
    monkeypatch.setattr(levels.jax, "process_count", lambda: 2)
    both = two.at(level)
    monkeypatch.undo()
    assert both.facts == one.facts
    for path, leaf in flatten(both.params).items():
        np.testing.assert_array_equal(leaf, flatten(one.params)[path], err_msg=path)
        assert leaf.sharding.is_equivalent_to(flatten(one.params)[path].sharding, leaf.ndim)


def lazy(leaves):
    return {path: DiskLeaf(leaf, path.startswith("layers")) for path, leaf in leaves.items()}
