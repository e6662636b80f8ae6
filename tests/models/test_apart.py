"""Layers apart: the same numbers, without a copy in float32 and with one cast of each kernel in bfloat16."""

import weakref
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_hf import QUICK, tokens

from jaxtrunc.core.trees import flatten
from jaxtrunc.models import Execution, Operands, hidden_states, load_params, open_model
from jaxtrunc.models.apart import Apart

IDS, LENGTHS = tokens(3, 9), np.array([9, 4, 7], np.int32)


@pytest.fixture(scope="module")
def gemma():
    source = open_model(Path(__file__).parent / "golden" / "gemma2")
    return load_params(source.leaves()), source.cfg


@partial(jax.jit, static_argnums=(1, 2), compiler_options=QUICK)
def run(params, cfg, execution):
    return hidden_states(params, cfg, IDS, LENGTHS, execution)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_same_hidden_states(gemma, dtype):
    params, cfg = gemma
    execution = Execution(compute_dtype=dtype, scan=False)
    apart = Operands(jnp.dtype(dtype)).layers_apart(params)
    np.testing.assert_allclose(run(apart, cfg, execution), run(params, cfg, execution), atol=2e-5)


def test_nothing_is_copied_in_float32():
    stacks = {"layers": {"up": {"kernel": jnp.arange(2 * 64 * 16, dtype=jnp.float32).reshape(2, 64, 16)}}}
    leaf = Operands(jnp.dtype("float32")).layers_apart(stacks)["layers"]["up"]["kernel"]
    whole = stacks["layers"]["up"]["kernel"]
    first = whole.unsafe_buffer_pointer()
    assert [leaf[layer].unsafe_buffer_pointer() for layer in (0, 1)] == [first, first + whole.nbytes // 2]


def test_kernels_alone_are_cast(gemma):
    params, _ = gemma
    apart = Operands(jnp.dtype("bfloat16")).layers_apart(params)
    cast = jax.tree_util.tree_leaves_with_path(apart["layers"], is_leaf=lambda leaf: isinstance(leaf, Apart))
    dtypes = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf[0].dtype for path, leaf in cast}
    assert {path: dtype == jnp.bfloat16 for path, dtype in dtypes.items()} == {path: path.endswith("kernel") for path in dtypes}
    assert all(leaf.dtype == jnp.float32 for path, leaf in flatten(apart).items() if not path.startswith("layers/"))


def test_a_cast_is_made_once_and_goes_with_its_array():
    operands = Operands(jnp.dtype("bfloat16"))
    first, second = jnp.zeros((2, 3)), jnp.ones((2, 3))
    cast = operands.cast(first)
    assert operands.cast(first) is cast and operands.cast(second).dtype == cast.dtype == jnp.bfloat16
    assert float(operands.cast(second).sum()) == 6
    alive = weakref.ref(cast)
    del cast, first
    assert alive() is None and float(operands.cast(second).sum()) == 6
