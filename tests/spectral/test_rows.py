"""Vocabulary-size matrices: rows over the mesh, one summed Gram matrix per pass, singular values as LAPACK's in float64."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from matrices import OnZero, decomposed, distance, gaussian, truth, with_spectrum

from jaxtrunc.core import rows_mesh
from jaxtrunc.core.mesh import spectral_mesh
from jaxtrunc.spectral.backends import rows
from jaxtrunc.spectral.backends.gram64 import decompose_gram64

V, R = 1501, 48  # a number of rows that no mesh divides
SPECTRA = {"power law": np.arange(1, R + 1.0) ** -1, "condition 1e5": np.geomspace(1, 1e-5, R),
           "one head and a flat tail": np.r_[10.0, np.full(R - 1, 1e-2)]}


def mesh_of(count: int) -> Mesh:
    return jax.make_mesh((count,), ("stack",), devices=jax.devices()[:count], axis_types=(AxisType.Explicit,))


@pytest.mark.parametrize("count", [1, 3, 8])
@pytest.mark.parametrize("planted", SPECTRA)
def test_a_planted_spectrum_is_found_on_any_number_of_devices(planted, count):
    tall = with_spectrum(SPECTRA[planted], V, R)
    s, basis = rows.decompose_rows(tall, mesh_of(count))
    wanted = np.linalg.svd(tall.astype(np.float64), compute_uv=False)
    np.testing.assert_allclose(s, wanted, rtol=0, atol=1e-12 * wanted[0])
    np.testing.assert_allclose(s, wanted, rtol=1e-9)  # the smallest ones too
    np.testing.assert_allclose(s, SPECTRA[planted], rtol=0, atol=1e-6 * wanted[0])  # what float32 leaves of the planted ones
    np.testing.assert_allclose(basis.T @ basis, np.eye(R), atol=1e-12)


@pytest.mark.parametrize("way", ["rows", "host"])
def test_what_holds_where_the_gram_matrix_is_singular_in_float64(way):
    """Down to s₁/10⁶ as above; below, to 1e-8·s₁: the figures of the docstrings."""
    tall = with_spectrum(np.geomspace(1, 1e-8, R), V, R)
    s, _ = rows.decompose_rows(tall, mesh_of(8)) if way == "rows" else decompose_gram64(tall)
    wanted = np.linalg.svd(tall.astype(np.float64), compute_uv=False)
    known = wanted > 1e-6 * wanted[0]
    np.testing.assert_allclose(s[known], wanted[known], rtol=1e-8, atol=1e-13 * wanted[0])
    np.testing.assert_allclose(s, wanted, rtol=0, atol=1e-8 * wanted[0])


def test_which_matrices_are_divided_by_rows():
    assert rows.by_rows((151_936, 896)) and rows.by_rows((128_256, 8192))
    assert not any(map(rows.by_rows, [(4864, 896), (896, 896), (18_944, 3584), (28_672, 8192), (8192, 1024)]))


@pytest.mark.parametrize("shape", [(V, R), (R, V)], ids=["embedding", "head"])
def test_the_device_backend_takes_this_way_by_itself(shape, monkeypatch):
    taken = []
    real = rows.tall_svd
    monkeypatch.setattr(rows, "tall_svd", lambda *given, **more: (taken.append(given), real(*given, **more))[1])
    update = gaussian(*shape) + with_spectrum(np.linspace(1.0, 0.9, 6), *shape)
    made = OnZero(update, backend="device")
    assert len(taken) == 1 and made.svd.complete and made.svd.rank == R
    assert distance(made.cut("top_k", 6), truth(update, np.arange(6))) < 1e-6
    host = OnZero(update, backend="host").svd
    np.testing.assert_allclose(made.svd.s, host.s, rtol=0, atol=1e-12 * host.s[0])


def test_an_unchanged_vocabulary_is_skipped():
    base = {"embed/embedding": gaussian(V, R), "mlp/kernel": gaussian(64, R)}
    found = decomposed(base, base | {"mlp/kernel": gaussian(64, R, 1)}, backend="device")
    assert list(found.skipped) == ["embed/embedding"] and list(found.matrices) == ["mlp/kernel"]


@pytest.mark.parametrize("worst, within", [(1e-2, 1e-6), (1e-4, 1e-5)])
def test_without_float64_two_passes_in_float32_find_every_component(monkeypatch, worst, within):
    """As on a TPU; the first pass alone would leave 3 digits of the leading ones."""
    monkeypatch.setattr(rows_mesh, "has_float64", lambda mesh: False)
    monkeypatch.setattr(rows, "has_float64", lambda mesh: False)
    made = OnZero(with_spectrum(np.geomspace(1, worst, R), V, R), backend="device")
    assert made.svd.basis.dtype == np.float32
    np.testing.assert_allclose(made.svd.s, np.linalg.svd(made.update.astype(np.float64), compute_uv=False), rtol=within)


def test_the_pair_of_float32_holds_what_one_would_lose():
    terms = np.random.default_rng(0).normal(size=10_000).astype(np.float32)
    zero = jnp.zeros((), jnp.float32)
    high, low = jax.jit(lambda x: jax.lax.scan(lambda pair, term: (rows_mesh._add(*pair, term), None), (zero, zero), x)[0])(terms)
    exact = terms.astype(np.float64).sum()
    assert abs(float(high) + float(low) - exact) < 1e-6 < abs(float(terms.cumsum(dtype=np.float32)[-1]) - exact)


@pytest.mark.parametrize("fault", ["error", "not finite"])
def test_what_fails_on_the_device_is_done_on_the_host(monkeypatch, fault):
    def broken(mesh, native, second):
        def run(*placed):
            if fault == "error":
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
            return np.full((R, R), np.nan)

        return run

    monkeypatch.setattr(rows_mesh, "compiled", broken)
    tall = gaussian(V, R)
    s, _ = rows.decompose_rows(tall, mesh_of(2))
    np.testing.assert_allclose(s, np.linalg.svd(tall.astype(np.float64), compute_uv=False), rtol=1e-11)


def collectives(text: str) -> list[tuple[str, str]]:
    """Kind and shape of every collective in a compiled program."""
    return re.findall(r"= \(?(\w+\[[\d,]*\]).*? (all-gather|all-to-all|all-reduce|collective-permute)(?:-start)?\(", text)


@pytest.mark.parametrize("second", [False, True], ids=["first", "second"])
@pytest.mark.parametrize("native", [True, False], ids=["float64", "pair of float32"])
def test_each_pass_is_one_sum_and_no_gather(native, second):
    """The compiled program, as XLA will run it."""
    mesh = spectral_mesh()
    with jax.enable_x64(native):
        tall = jax.ShapeDtypeStruct((1504, R), jnp.bfloat16, sharding=NamedSharding(mesh, P("stack")))
        basis = jax.ShapeDtypeStruct((R, R), jnp.float64 if native else jnp.float32, sharding=NamedSharding(mesh, P()))
        text = rows_mesh.compiled(mesh, native, second).lower(*(tall, basis)[: 1 + second]).compile().as_text()
    assert collectives(text) == [(f"f64[{R},{R}]" if native else f"f32[2,{R},{R}]", "all-reduce")]
    assert f"[{1504 // 8},{R}]" in text and "[1504," not in text  # each device sees its own rows


def test_the_check_above_would_see_a_gather():
    mesh = jax.make_mesh((8,), ("stack",), axis_types=(AxisType.Auto,))
    tall = jax.ShapeDtypeStruct((1504, R), jnp.float32, sharding=NamedSharding(mesh, P("stack")))
    text = jax.jit(lambda x: jnp.linalg.qr(x, mode="r")).lower(tall).compile().as_text()
    assert (f"f32[1504,{R}]", "all-gather") in collectives(text)
