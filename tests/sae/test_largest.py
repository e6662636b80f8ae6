"""The largest entries by bisection, against sorting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxtrunc.sae.largest import few_rows_at_a_time, largest


def by_sorting(values: np.ndarray, count: int) -> np.ndarray:
    """A stable sort of the negated values puts the first of equal ones first."""
    kept = np.zeros(values.shape, bool)
    np.put_along_axis(kept, np.argsort(-values, axis=-1, kind="stable")[..., :count], True, axis=-1)
    return kept & (values > 0)


def some() -> dict[str, np.ndarray]:
    x = np.random.default_rng(0).standard_normal((6, 37)).astype(np.float32)
    found = {"distinct": np.maximum(x, 0), "ties": np.maximum(np.round(2 * x), 0), "huge": np.maximum(x, 0) * 1e38,
             "one value": np.ones_like(x), "zeros": 0 * x}
    return {name: values.astype(np.float32) for name, values in found.items()}


@pytest.mark.parametrize("count", [1, 5, 100])
def test_equals_a_stable_sort_along_rows_and_over_all(count):
    for name, values in some().items():
        assert np.array_equal(largest(jnp.asarray(values), count), by_sorting(values, count)), name
        assert np.array_equal(few_rows_at_a_time(jnp.asarray(values), count), by_sorting(values, count)), name
        over_all = by_sorting(values.reshape(-1), count).reshape(values.shape)
        assert np.array_equal(largest(jnp.asarray(values), count, axis=None), over_all), name


@pytest.mark.parametrize("chosen", [largest, few_rows_at_a_time])
def test_the_mask_has_no_gradient_but_lets_that_of_the_values_through(chosen):
    values = jnp.asarray(some()["distinct"])
    slope = jax.grad(lambda v: jnp.sum(jnp.where(chosen(v, 5), v, 0)))(values)
    assert np.array_equal(slope, by_sorting(np.asarray(values), 5))


@pytest.mark.parametrize("axis", [-1, None])
def test_the_divided_axis_is_never_gathered(axis):
    mesh = jax.make_mesh((8,), ("dictionary",), axis_types=(AxisType.Auto,))
    values = np.round(4 * np.random.default_rng(1).random((16, 64))).astype(np.float32)
    placed = jax.device_put(values, NamedSharding(mesh, P(None, "dictionary")))
    fast = jax.jit(lambda v: largest(v, 9, axis))
    assert np.array_equal(fast(placed), largest(jnp.asarray(values), 9, axis))
    text = fast.lower(placed).compile().as_text()
    assert "all-gather" not in text and "all-to-all" not in text
