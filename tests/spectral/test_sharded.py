"""Criterion 6: eight devices, one device and the host agree, wherever the weights lie; nothing is gathered."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from matrices import distance, gaussian, orthonormal, truth

from jaxtrunc.core.mesh import spectral_mesh
from jaxtrunc.spectral import Level, Reconstructor, decompose, references
from jaxtrunc.spectral.backends.device import compiled
from jaxtrunc.spectral.backends.eigensolver import compiled_vectors

LAYERS, M, N = 10, 64, 48
UPDATE = np.stack([(orthonormal(M, 4, layer) * np.linspace(3, 2, 4)) @ orthonormal(N, 4, layer + 20).T
                   + gaussian(M, N, layer, 0.01) for layer in range(LAYERS)]).astype(np.float32)
BASE = {"mlp/kernel": gaussian(LAYERS * M, N, 9, 0.02).reshape(LAYERS, M, N)}
FT = {"mlp/kernel": BASE["mlp/kernel"] + UPDATE}
REFS = references({"mlp/kernel": (LAYERS, M, N)})

pytestmark = pytest.mark.skipif(jax.device_count() < 8, reason="needs the 8 virtual devices that conftest.py asks for")


def mesh_of(count: int):
    return jax.make_mesh((count,), ("stack",), devices=jax.devices()[:count], axis_types=(AxisType.Explicit,))


@pytest.fixture(scope="module")
def host():
    return decompose(BASE, FT, REFS, backend="host")


@pytest.mark.parametrize("how", ["gram64", "one device", "eight devices", "three devices"])
def test_every_way_agrees_with_the_host(host, how):
    counts = {"one device": 1, "three devices": 3, "eight devices": 8}
    found = decompose(BASE, FT, REFS, backend="gram64") if how == "gram64" else \
        decompose(BASE, FT, REFS, backend="device", mesh=mesh_of(counts[how]))
    ours, theirs = (Reconstructor(x, BASE, FT).weights(Level("top_k", k=4)).leaves["mlp/kernel"] for x in (found, host))
    for layer, (name, svd) in enumerate(host.matrices.items()):
        np.testing.assert_allclose(found.matrices[name].s, svd.s, rtol=0, atol=1e-12 * svd.s[0])
        assert found.matrices[name].rank == svd.rank
        assert np.linalg.norm(ours[layer] - theirs[layer]) < 1e-5 * svd.frobenius


@pytest.mark.parametrize("spec", [P("d"), P(None, "d"), P(None, None, "d"), P(None, ("d",), None)], ids=str)
def test_it_does_not_matter_where_the_weights_lie(host, spec):
    mesh = jax.make_mesh((2,), ("d",), devices=jax.devices()[:2], axis_types=(AxisType.Auto,))
    base, ft = ({"mlp/kernel": jax.device_put(tree["mlp/kernel"], NamedSharding(mesh, spec))} for tree in (BASE, FT))
    for backend in ("gram64", "device"):
        found = decompose(base, ft, REFS, backend=backend)
        for name, svd in host.matrices.items():
            np.testing.assert_allclose(found.matrices[name].s, svd.s, rtol=0, atol=1e-12 * svd.s[0])
            assert found.matrices[name].base_hash == svd.base_hash


def test_the_short_side_cache_agrees_with_the_full_decomposition(host):
    """U and V never compared, only what they build: ΔW Q_k Q_kᵀ."""
    for layer, svd in enumerate(host.matrices.values()):
        q = svd.basis[:, :4]
        assert svd.side == "out" and q.shape == (N, 4)
        update = FT["mlp/kernel"][layer] - BASE["mlp/kernel"][layer]
        assert distance(update @ q @ q.T, truth(update, np.arange(4))) < 1e-6


@pytest.mark.parametrize("step", ["grams", "vectors", "lengths", "svd"])
def test_no_collective_touches_a_matrix(step):
    """The compiled programs, as XLA will run them: matrices stay where they are."""
    mesh = spectral_mesh()
    whole = NamedSharding(mesh, P("stack"))
    with jax.enable_x64(True):
        stack = jax.ShapeDtypeStruct((16, M, N), jnp.float32, sharding=whole)
        square = jax.ShapeDtypeStruct((16, N, N), jnp.float64, sharding=whole)
        program = compiled_vectors(mesh, None) if step == "vectors" else compiled(mesh, step)
        operands = {"vectors": [square], "lengths": [stack, square]}.get(step, [stack])
        text = program.lower(*operands).compile().as_text()
    assert "custom-call" in text or "dot(" in text or "fusion(" in text  # it is the step
    assert f"[2,{M},{N}]" in text or f"[2,{N},{N}]" in text  # each device sees its own two
    assert not re.findall(r"all-gather|all-to-all|collective-permute|all-reduce", text)


def test_the_check_above_would_see_a_gather():
    mesh = jax.make_mesh((8,), ("stack",), axis_types=(AxisType.Auto,))
    matrix = jax.ShapeDtypeStruct((M, N), jnp.float32, sharding=NamedSharding(mesh, P("stack")))
    text = jax.jit(lambda x: jnp.linalg.svd(x, full_matrices=False)).lower(matrix).compile().as_text()
    assert "all-gather" in text


def test_a_device_result_that_is_not_finite_is_redone_on_the_host(monkeypatch):
    from jaxtrunc.spectral.backends import device

    real = device.compiled

    def spoiled(mesh, step):
        def lengths(stack, vectors):
            s = np.asarray(real(mesh, step)(stack, vectors))
            return np.where(np.arange(len(s))[:, None] == 1, np.nan, s)

        return lengths if step == "lengths" else real(mesh, step)

    monkeypatch.setattr(device, "compiled", spoiled)
    s, basis = device.decompose_device(UPDATE[:3], mesh_of(1))
    np.testing.assert_allclose(s, np.linalg.svd(UPDATE[:3].astype(np.float64), compute_uv=False), rtol=1e-10)
    assert np.isfinite(basis).all()
