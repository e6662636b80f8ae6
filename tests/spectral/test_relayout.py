"""Sharded leaves become whole matrices on single devices, and no device ever gathers one."""

import re

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P
from matrices import gaussian

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.mesh import compute_mesh
from jaxtrunc.spectral import decompose, references
from jaxtrunc.spectral.relayout import compiled, is_sharded, placement, relayout, spread

pytestmark = pytest.mark.skipif(jax.device_count() < 8, reason="needs the 8 virtual devices that conftest.py asks for")

MESHES = [(8, 1, 1), (1, 8, 1), (1, 1, 8), (2, 2, 2), (1, 4, 2)]
PLACEMENTS = [P(), P(None, "fsdp"), P(None, None, "tensor"), P(None, "fsdp", "tensor"), P(None, "tensor", "fsdp"),
              P(None, None, ("data", "fsdp", "tensor")), P(None, ("tensor", "fsdp"))]
M, N = 32, 48


def mesh_of(sizes: tuple[int, int, int]) -> Mesh:
    return compute_mesh(*sizes)


def put(leaf: np.ndarray, mesh: Mesh, spec: P) -> jax.Array:
    return jax.device_put(leaf, NamedSharding(mesh, spec))


def numbered(*shape: int) -> np.ndarray:
    """Every entry another number."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def assert_entries(leaf: np.ndarray, batch_axes: int, mesh: Mesh, spec: P) -> None:
    """Each entry arrives, whole, on one device."""
    stack = relayout(put(leaf, mesh, spec), batch_axes)
    assert stack.shape == leaf.shape
    for index, entry in enumerate(leaf.reshape(-1, *leaf.shape[batch_axes:])):
        np.testing.assert_array_equal(stack[index], entry)
        assert stack.owner(index) == 0


def different(mesh: Mesh) -> list[P]:
    """The placements, once each: on a mesh with axes of one device several are the same."""
    return list({placement(NamedSharding(mesh, spec), 3, 1): spec for spec in PLACEMENTS}.values())


@pytest.mark.parametrize("sizes", MESHES, ids=str)
def test_every_matrix_arrives(sizes):
    for spec in different(mesh_of(sizes)):
        assert_entries(numbered(10, M, N), 1, mesh_of(sizes), spec)


@pytest.mark.parametrize("layers", [1, 3, 8, 17])
def test_any_number_of_layers(layers):
    for spec in (P(None, "fsdp", "tensor"), P(None, None, "tensor")):
        assert_entries(numbered(layers, M, N), 1, mesh_of((2, 2, 2)), spec)


@pytest.mark.parametrize("spec", [P("fsdp", None, "tensor"), P("data"), P(("data", "fsdp", "tensor")), P("tensor", "data", "fsdp")],
                         ids=str)
def test_the_stack_may_be_sharded_already(spec):
    assert_entries(numbered(8, M, N), 1, mesh_of((1, 4, 2)), spec)
    assert_entries(numbered(24, M, N), 1, mesh_of((2, 2, 2)), spec)


@pytest.mark.parametrize("sizes", [(2, 2, 2), (1, 4, 2)], ids=str)
def test_unstacked_leaves_vectors_and_stacks_of_stacks(sizes):
    mesh = mesh_of(sizes)
    for spec in (P(), P("fsdp", "tensor")):
        assert_entries(numbered(M, N), 0, mesh, spec)
    assert_entries(numbered(N), 0, mesh, P(("fsdp", "tensor")))
    assert_entries(numbered(5, M, 4, 8), 1, mesh, P(None, "fsdp", None, "tensor"))
    assert_entries(numbered(3, 8, M, N), 2, mesh, P(None, "fsdp", "tensor"))
    assert_entries(numbered(8, 16, M, N), 2, mesh, P("tensor", "fsdp"))


@pytest.mark.parametrize(("entries", "takers"), [(1, 8), (3, 8), (10, 8), (24, 8), (7, 4), (28, 16), (5, 1)])
def test_entries_are_spread_evenly_over_devices_and_so_over_processes(entries, takers):
    room = -(-entries // takers)
    slots = spread(entries, takers)
    assert len(set(slots.tolist())) == entries and slots.max() < takers * room
    held = np.bincount(slots // room, minlength=takers)
    assert held.max() - held.min() <= 1
    halves = held[:takers // 2].sum(), held[takers // 2:].sum()
    assert takers == 1 or abs(int(halves[0]) - int(halves[1])) <= 1


def test_leaves_of_one_matrix_do_not_all_go_to_the_same_device():
    """The trees of models whose layers are not stacked."""
    devices = [int(spread(1, 8, turn)[0]) for turn in range(24)]
    assert set(np.bincount(devices, minlength=8).tolist()) <= {2, 3, 4}
    assert (devices[0] < 4) != (devices[1] < 4)  # a head and an embedding: two processes
    mesh, leaf = mesh_of((1, 4, 2)), numbered(10, M, N)
    for turn in (1, 6):
        stack = relayout(put(leaf, mesh, P(None, "fsdp", "tensor")), 1, turn)
        np.testing.assert_array_equal([stack[index] for index in range(10)], leaf)


COLLECTIVE = r"= (.+?) (all-gather|all-to-all|all-reduce|collective-permute|reduce-scatter)(?:-start)?\("


def collectives(text: str) -> list[tuple[str, str]]:
    """Result type and kind of every collective in a compiled program."""
    return [(found[1], found[2]) for line in text.splitlines() if (found := re.search(COLLECTIVE, line))]


def gathers(text: str) -> list[str]:
    """Result types of collectives other than all-to-all that hold a whole matrix."""
    return [result for result, kind in collectives(text) if kind != "all-to-all" and re.search(rf"\b{M},{N}\]", result)]


def described(mesh: Mesh, spec: P, layers: int = 10) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((layers, M, N), jnp.float32, sharding=NamedSharding(mesh, spec))


@pytest.mark.parametrize("sizes", MESHES, ids=str)
def test_one_all_to_all_per_sharded_axis_and_nothing_else(sizes):
    """The compiled program, as XLA will run it."""
    mesh = mesh_of(sizes)
    for spec in different(mesh):
        placed = placement(NamedSharding(mesh, spec), 3, 1)
        text = compiled(mesh, spec, placed).lower(described(mesh, spec), spread(10, 8)).compile().as_text()
        assert [kind for _, kind in collectives(text)] == ["all-to-all"] * sum(bool(names) for names in placed.matrix)
        assert not gathers(text)


def test_the_check_above_would_see_a_gather():
    mesh = mesh_of((2, 2, 2))
    change = jax.jit(lambda leaf: leaf * 1, out_shardings=NamedSharding(mesh, P("data")))
    text = change.lower(described(mesh, P(None, "fsdp", "tensor"))).compile().as_text()
    assert gathers(text)


def test_only_arrays_on_several_devices_are_laid_out_anew():
    leaf, mesh = numbered(2, 8, 8), mesh_of((1, 4, 2))
    assert is_sharded(put(leaf, mesh, P(None, "fsdp"))) and is_sharded(put(leaf, mesh, P()))
    assert not is_sharded(leaf) and not is_sharded(jax.device_put(leaf, SingleDeviceSharding(jax.devices()[3])))


def test_another_kind_of_sharding_is_refused():
    class Other:
        shape, ndim, sharding = (2, 8, 8), 3, SingleDeviceSharding(jax.devices()[0])

    with pytest.raises(InputError, match="expected a NamedSharding"):
        relayout(Other(), 1)


@pytest.fixture(scope="module")
def pair():
    shapes = {"mlp/kernel": (10, 64, 48), "head/kernel": (48, 64)}
    base = {path: gaussian(1, np.prod(shape), 1, 0.02).reshape(shape) for path, shape in shapes.items()}
    ft = {path: leaf + gaussian(1, leaf.size, 2).reshape(leaf.shape) for path, leaf in base.items()}
    refs = references(shapes)
    return base, ft, refs, decompose(base, ft, refs, backend="host")


@pytest.mark.parametrize(("sizes", "backend"), [*((sizes, "gram64") for sizes in MESHES), ((2, 2, 2), "device"),
                                                ((1, 8, 1), "device")], ids=str)
def test_every_mesh_gives_the_singular_values_of_one_device(pair, sizes, backend):
    """Kernels as the compute layout places them; σ to 1e-12·s₁ in float64, the same hashes and facts."""
    base, ft, refs, wanted = pair
    places = {"mlp/kernel": P(None, "fsdp", "tensor"), "head/kernel": P("fsdp", "tensor")}
    trees = [{path: put(leaf, mesh_of(sizes), places[path]) for path, leaf in tree.items()} for tree in (base, ft)]
    found = decompose(*trees, refs, backend=backend)
    assert list(found.matrices) == list(wanted.matrices)
    for name, svd in wanted.matrices.items():
        ours = found.matrices[name]
        np.testing.assert_allclose(ours.s, svd.s, rtol=0, atol=1e-12 * svd.s[0])
        assert (ours.base_hash, ours.ft_hash, ours.rank, ours.frobenius) == (svd.base_hash, svd.ft_hash, svd.rank, svd.frobenius)


def test_one_side_may_be_sharded_and_the_other_not(pair):
    base, ft, refs, wanted = pair
    mesh = mesh_of((2, 2, 2))
    placed = {path: put(leaf, mesh, P(None, "fsdp") if leaf.ndim == 3 else P()) for path, leaf in ft.items()}
    found = decompose(base, placed, refs)
    for name, svd in wanted.matrices.items():
        np.testing.assert_allclose(found.matrices[name].s, svd.s, rtol=0, atol=1e-12 * svd.s[0])


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16], ids=str)
def test_half_precision_is_moved_as_it_is_stored(pair, dtype):
    base, ft, refs, _ = pair
    trees = [{path: leaf.astype(dtype) for path, leaf in tree.items()} for tree in (base, ft)]
    specs = {"mlp/kernel": P(None, "fsdp", "tensor"), "head/kernel": P("tensor")}
    placed = [{path: put(leaf, mesh_of((2, 2, 2)), specs[path]) for path, leaf in tree.items()} for tree in trees]
    found, wanted = decompose(*placed, refs), decompose(*trees, refs)
    for name, svd in wanted.matrices.items():
        np.testing.assert_array_equal(found.matrices[name].s, svd.s)
        assert (found.matrices[name].base_hash, found.matrices[name].ft_hash) == (svd.base_hash, svd.ft_hash)
