"""The decomposition of a tall matrix by passes over its rows, against LAPACK's in float64."""

import jax
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh

from jaxtrunc.core import chunks, rows_mesh
from jaxtrunc.core.tall import tall_svd

V, D = 4099, 64


def of_condition(condition: float, dtype=np.float32) -> np.ndarray:
    rng = np.random.default_rng(1)
    left, right = (np.linalg.qr(rng.normal(size=(size, D)))[0] for size in (V, D))
    return ((left * np.geomspace(1, 1 / condition, D)) @ right.T).astype(dtype)


def mesh_of(count: int) -> Mesh:
    return jax.make_mesh((count,), ("rows",), devices=jax.devices()[:count], axis_types=(AxisType.Explicit,))


def check(found, matrix: np.ndarray, within: float) -> None:
    exact = matrix.astype(np.float64)
    np.testing.assert_allclose(found.s, np.linalg.svd(exact, compute_uv=False), rtol=within)
    left = exact @ found.v / found.s
    np.testing.assert_allclose(left.T @ left, np.eye(D), atol=within)
    np.testing.assert_allclose((left * found.s) @ found.v.T, exact, atol=within * found.s[0])


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, np.float16])
@pytest.mark.parametrize("condition", [1e2, 1e4])
@pytest.mark.parametrize("count", [None, 1, 4])
def test_all_components_in_float64(count, condition, dtype):
    matrix = of_condition(condition, dtype)
    check(tall_svd(matrix, count and mesh_of(count), tolerance=1e-7), matrix, 1e-6)


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
@pytest.mark.parametrize("condition", [1e2, 1e4])
def test_all_components_where_there_is_no_float64(monkeypatch, condition, dtype):
    monkeypatch.setattr(rows_mesh, "has_float64", lambda mesh: False)
    matrix = of_condition(condition, dtype)
    found = tall_svd(matrix, mesh_of(4), tolerance=1e-7)
    assert found.passes == 2
    check(found, matrix, 3e-5)


def test_one_pass_in_float32_is_marked_and_right_for_the_leading_ones(monkeypatch):
    monkeypatch.setattr(rows_mesh, "has_float64", lambda mesh: False)
    matrix = of_condition(1e2)
    found = tall_svd(matrix, mesh_of(4), tolerance=np.inf)
    assert found.passes == 1
    np.testing.assert_allclose(found.s[:10], np.linalg.svd(matrix.astype(np.float64), compute_uv=False)[:10], rtol=1e-6)


@pytest.mark.parametrize("condition, passes", [(1e3, 1), (1e4, 1), (1e5, 2)])
def test_in_float64_the_second_pass_comes_where_the_first_is_not_enough(condition, passes):
    matrix = of_condition(condition, np.float64)
    found = tall_svd(matrix, tolerance=1e-7)
    assert found.passes == passes
    check(found, matrix, 1e-6)


def test_a_matrix_without_full_rank():
    matrix = of_condition(10.0)
    matrix[:, 3] = 0
    matrix[:, 7] = matrix[:, 5]
    found = tall_svd(matrix, tolerance=1e-7)
    wanted = np.linalg.svd(matrix.astype(np.float64), compute_uv=False)
    np.testing.assert_allclose(found.s, wanted, rtol=0, atol=1e-12 * wanted[0])
    np.testing.assert_allclose(found.v.T @ found.v, np.eye(D), atol=1e-12)


def test_chunks_come_in_order_and_no_more_than_a_few_wait():
    matrix = np.arange(20_000.0)[:, None]
    started = []

    def work(start: int, chunk: np.ndarray) -> float:
        started.append(start)
        return float(chunk[0, 0])

    for at, first in enumerate(chunks.each_chunk(matrix, work, 100)):
        assert first == 100 * at and len(started) <= at + chunks.core_count() + 2
    assert len(started) == 200
