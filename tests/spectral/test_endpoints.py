"""Criterion 1: k = full is the fine-tuned checkpoint and k = 0 the base, bit for bit."""

import ml_dtypes
import numpy as np
import pytest
from matrices import OnZero, decomposed, distance, gaussian

from jaxtrunc.spectral import Level, Reconstructor

SHAPES = {"attn/kernel": (3, 64, 48), "mlp/kernel": (48, 80), "square/kernel": (2, 40, 40)}
DTYPES = [np.float32, np.float16, ml_dtypes.bfloat16]


def checkpoints(dtype):
    rng = np.random.default_rng(5)
    base = {path: rng.standard_normal(shape).astype(dtype) for path, shape in SHAPES.items()}
    ft = {path: (leaf + 0.05 * rng.standard_normal(leaf.shape)).astype(dtype) for path, leaf in base.items()}
    return base, ft


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("operator", "k", "end"), [
    ("top_k", 0, "base"), ("bottom_k", 0, "base"), ("random_k", 0, "base"), ("drop_top_k", 80, "base"), ("flatten_k", 0, "base"),
    ("top_k", 80, "ft"), ("bottom_k", 80, "ft"), ("random_k", 80, "ft"), ("drop_top_k", 0, "ft")])
def test_both_ends_are_the_checkpoints_bit_for_bit(operator, k, end, dtype):
    base, ft = checkpoints(dtype)
    rebuild = Reconstructor(decomposed(base, ft), base, ft)
    rebuild.weights(Level("top_k", k=7))  # what was computed before must not show
    seed = 3 if operator == "random_k" else None
    found = rebuild.weights(Level(operator, k=k, seed=seed)).leaves
    assert set(found) == set(SHAPES)
    for path, leaf in {"base": base, "ft": ft}[end].items():
        assert found[path].dtype == np.float32
        np.testing.assert_array_equal(found[path], leaf.astype(np.float32))


@pytest.mark.parametrize("param", [0.0, 1.0])
def test_the_ends_of_fractions_and_of_interpolation(param):
    base, ft = checkpoints(np.float32)
    rebuild = Reconstructor(decomposed(base, ft), base, ft)
    for operator in ("top_k", "interpolate", "energy"):
        found = rebuild.weights(Level(operator, param=param)).leaves
        for path, leaf in (ft if param else base).items():
            np.testing.assert_array_equal(found[path], leaf)


@pytest.mark.parametrize("shape", [(96, 64), (64, 96), (64, 64)])
def test_the_full_factors_give_the_update_to_1e_5(shape):
    made = OnZero(gaussian(*shape))
    a, b = made.rebuild.factors(Level("top_k", k=64))[made.name]
    assert a.shape == (64, shape[0]) and b.shape == (shape[1], 64)
    assert distance((b @ a).T, made.update) < 1e-5


def test_the_residual_value_fills_what_is_not_cut():
    base, ft = checkpoints(np.float32)
    whole = decomposed(base, ft)
    part = type(whole)(whole.backend, {name: svd for name, svd in whole.matrices.items() if name == "attn/kernel.1"})
    for residual, rest in (("ft", ft), ("base", base)):
        leaves = Reconstructor(part, base, ft, residual=residual).weights(Level("top_k", k=2)).leaves
        assert set(leaves) == {"attn/kernel"}
        for layer in (0, 2):
            np.testing.assert_array_equal(leaves["attn/kernel"][layer], rest["attn/kernel"][layer])
        assert not np.array_equal(leaves["attn/kernel"][1], rest["attn/kernel"][1])
