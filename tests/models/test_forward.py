"""The forward pass against itself: ways of running that must agree, rows that must not see each other."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_hf import QUICK, tokens

from jaxtrunc.models import Execution, head_logits, hidden_states, load_params, open_model

GOLDEN = Path(__file__).parent / "golden"
FORWARD = jax.jit(hidden_states, static_argnums=1)


@pytest.fixture(scope="module", params=["qwen2", "llama3", "gemma2"])
def model(request):
    source = open_model(GOLDEN / request.param)
    return load_params(source.leaves()), source.cfg


def test_scan_remat_and_unrolled_agree_in_value_and_gradient(model):
    params, cfg = model
    ids, lengths = tokens(2, 16), jnp.array([16, 9])

    def loss(params, execution):
        return jnp.mean(head_logits(params, cfg, hidden_states(params, cfg, ids, lengths, execution)) ** 2)

    step = jax.jit(jax.value_and_grad(loss), static_argnums=1, compiler_options=QUICK)
    value, gradient = step(params, Execution(scan=False))
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradient))
    for execution in (Execution(scan=True), Execution(scan=True, remat=True)):
        other_value, other = step(params, execution)
        np.testing.assert_allclose(other_value, value, rtol=1e-6)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5 * scale), other, gradient)


def test_a_row_does_not_see_the_other_rows_or_its_padding(model):
    params, cfg = model
    lengths = np.array([48, 7, 1, 31], np.int32)
    ids = tokens(4, 48)
    together = FORWARD(params, cfg, ids, lengths)
    garbage = np.where(np.arange(48) < lengths[:, None], ids, 5)
    repadded = FORWARD(params, cfg, garbage, lengths)
    for row, length in enumerate(lengths):
        np.testing.assert_array_equal(repadded[row, :length], together[row, :length])
    alone = FORWARD(params, cfg, ids[3:, :31], lengths[3:])
    np.testing.assert_allclose(alone[0], together[3, :31], atol=2e-5)


def test_a_token_does_not_see_what_follows(model):
    params, cfg = model
    ids = tokens(1, 20)
    changed = ids.copy()
    changed[0, 12:] += 1
    before, after = (FORWARD(params, cfg, x % cfg.vocab_size, np.array([20])) for x in (ids, changed))
    np.testing.assert_array_equal(before[0, :12], after[0, :12])
    assert np.abs(before[0, 12:] - after[0, 12:]).max() > 0.1


def test_chosen_rows_of_the_head(model):
    params, cfg = model
    hidden = jax.random.normal(jax.random.key(1), (3, cfg.hidden_size))
    whole = head_logits(params, cfg, hidden)
    np.testing.assert_allclose(head_logits(params, cfg, hidden, [7, 3]), whole[:, [7, 3]], atol=1e-6)


def test_weights_are_arguments(model):
    """Other weights of the same shapes run the compiled function again; nothing is traced twice."""
    params, cfg = model
    count = 0

    def forward(params):
        nonlocal count
        count += 1
        return hidden_states(params, cfg, tokens(1, 8), jnp.array([8]))

    compiled = jax.jit(forward)
    first = compiled(params)
    second = compiled(jax.tree.map(lambda leaf: leaf * 1.5, params))
    assert count == 1 and np.abs(first - second).max() > 0


@pytest.mark.parametrize(
    ("execution", "operand", "precision"),
    [(Execution(), "float32", jax.lax.Precision.HIGHEST), (Execution("bfloat16"), "bfloat16", None)],
)
def test_precision_of_every_product(model, execution, operand, precision):
    """CPU ignores the precision asked for, accelerators do not: so it is read from the program."""
    params, cfg = model

    def logits(params):
        return head_logits(params, cfg, hidden_states(params, cfg, tokens(1, 8), jnp.array([8]), execution), None, execution)

    products = [line for line in jax.make_jaxpr(logits)(params).jaxpr.eqns if line.primitive.name == "dot_general"]
    assert len(products) == cfg.num_layers * 9 + 1  # seven matrices and two attention products a layer, and the head
    for line in products:
        asked = line.params["precision"]
        assert asked in (precision, (precision, precision)), asked
        assert {str(x.aval.dtype) for x in line.invars} == {operand} and str(line.outvars[0].aval.dtype) == "float32"
